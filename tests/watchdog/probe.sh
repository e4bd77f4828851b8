#!/bin/sh
# What the conformance suite runs behind a watchdog: the query says what to do. On standard input comes the body;
# a supervisor gives it in a file.
case "$Http_Query" in
*do=env*)       env ;;
*do=exit*)      echo "before the end"; exit "${Http_Query##*do=exit}" ;;
*do=both*)      echo one; echo two >&2; echo three ;;
*do=kill*)      kill -KILL $$ ;;
*do=sleep*)     sleep "${Http_Query##*do=sleep}" ;;
*do=binary*)    printf '\000\001\002' ;;
*do=nothing*)   ;;
*)              cat ${INPUT_FILE_PATH:+"$INPUT_FILE_PATH"} ;;
esac
