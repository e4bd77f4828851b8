#!/bin/sh
# Writes packaging/requirements.txt anew: exact versions, with digests, of all that the frozen supervisor is made of.
set -eu
cd "$(dirname "$0")/.."
printf '%s\n' . plugins/* | sed 's|^|./|' |
    "$1" pip compile - --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-package faas-supervisor --no-emit-package faas-supervisor-s3 \
        --no-emit-package faas-supervisor-minio --no-emit-package faas-supervisor-onedata \
        --no-emit-package faas-supervisor-dcache --group freeze --output-file packaging/requirements.txt
