#!/bin/sh
# A warm script for a shell: what is prepared here is prepared once, however many files come.
set -u
stop_words='the|a|of|and'

while read -r request; do
    . "$WARM_ENVIRONMENT"  # INPUT_FILE_PATH, TMP_OUTPUT_DIR and all others of this run
    tr -cs '[:alpha:]' '\n' <"$INPUT_FILE_PATH" | grep -Evx "$stop_words" | sort | uniq -c | sort -rn |
        head >"$TMP_OUTPUT_DIR/words.txt"
    echo "{\"status\": $?}" >&"$WARM_REPLY_FD"
done
