#!/bin/sh
# Copies the input and counts its words and characters.
set -eu
name=$(basename "$INPUT_FILE_PATH")
echo "processing $name"
cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/$name"
words=$(wc -w < "$INPUT_FILE_PATH" | tr -d ' ')
characters=$(wc -m < "$INPUT_FILE_PATH" | tr -d ' ')
printf '%s: %s words, %s characters\n' "$name" "$words" "$characters" > "$TMP_OUTPUT_DIR/${name%.*}.count.txt"
