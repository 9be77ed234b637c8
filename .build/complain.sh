# Sourced by the checks of boundaries.
# complain WHAT: says that it does not hold, with what is wrong from standard input, and counts.
failures=0

complain() {
    printf 'boundary broken: %s\n' "$1" >&2
    sed 's/^/    /' >&2
    failures=$((failures + 1))
}
