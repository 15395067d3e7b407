#!/bin/sh
# The measurements that need a GPU, each in a process of its own, in under ten minutes; one line of JSON each, printed
# and kept in build/gpu.jsonl. What fails or takes too long is said there, and the next one begins.
#
#     benchmarks/gpu.sh                    Stable Diffusion 1.5's size, then SDXL's, random weights, 8 people
#     BASE=DIR SIZES= benchmarks/gpu.sh    another base alone; USERS, ROUNDS, DEVICE and LIMIT (seconds each) as wanted
#     ONLY="serving swap" benchmarks/gpu.sh
set -u
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python} BASE=${BASE:-sd15-random} SIZES=${SIZES-sdxl-random} USERS=${USERS:-8} ROUNDS=${ROUNDS:-3}
DEVICE=${DEVICE:-auto} LIMIT=${LIMIT:-65} OUT=${OUT:-build/gpu.jsonl}
ONLY=${ONLY:-roofline serving multi_tenant swap mixed ahead}
mkdir -p "$(dirname "$OUT")"
: >"$OUT"
failed=0

measure() {
    name=$1
    shift
    line=$(timeout "$LIMIT" "$PYTHON" -m "benchmarks.$name" --device "$DEVICE" "$@" | tail -n 1)
    case $line in
    '{'*) line="{\"benchmark\": \"$name\", ${line#?}" ;;
    *) line="{\"benchmark\": \"$name\", \"arguments\": \"$*\", \"failed\": true}" failed=1 ;;
    esac
    echo "$line" | tee -a "$OUT"
}

for name in $ONLY; do
    case $name in
    serving)
        measure serving --base "$BASE" --users "$USERS" --rounds "$ROUNDS" --steps 10 --no-memory
        LIMIT=$((2 * LIMIT)) # compiling takes a minute by itself
        measure serving --base "$BASE" --users "$USERS" --rounds "$ROUNDS" --steps 10 --no-memory --compile
        LIMIT=$((LIMIT / 2))
        for size in $SIZES; do
            measure serving --base "$size" --users "$USERS" --rounds 1 --steps 10 --no-memory
        done
        ;;
    multi_tenant) measure multi_tenant --base "$BASE" --users "$USERS" --rounds "$ROUNDS" ;;
    mixed) measure mixed --base "$BASE" --users "$USERS" --pictures 3 --train-steps 10 ;;
    ahead) measure ahead --base "$BASE" --people 3 ;;
    *) measure "$name" --base "$BASE" --rounds "$ROUNDS" ;;
    esac
done
exit $failed
