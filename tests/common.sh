# Sourced by the scripts beside it, which set `root` (the checkout) first. POSIX sh.

umask 022
build=$root/build
mkdir -p "$build"

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# under_lock NAME COMMAND...: one at a time, however many callers there are
under_lock() {
    lock=$build/.lock-$1
    shift
    (
        flock 9
        # the command must not hand the lock to a daemon or keep it after this subshell
        "$@" 9>&-
    ) 9>"$lock"
}

# quietly LOG COMMAND...: output goes to LOG and is shown only when the command fails
quietly() {
    log=$1
    shift
    "$@" >"$log" 2>&1 && return
    status=$?
    tail -n 40 "$log" >&2
    say "failed ($status): $* (all of the output: $log)"
    return $status
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# need_packages PACKAGE...: install those that are missing
need_packages() {
    [ -z "${NO_APT-}" ] || return 0
    command -v apt-get >/dev/null || die "needs apt-get (Debian, Ubuntu) to install: $*. On other systems install what corresponds and set NO_APT=1"
    missing=
    for package; do installed "$package" || missing="$missing $package"; done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ]; then as_root='env'
    elif sudo -n true 2>/dev/null; then as_root='sudo -n env'
    else die "some packages are missing. Please type: sudo apt-get install$missing"
    fi
    say "installing$missing"
    # shellcheck disable=SC2086 # lists of words
    under_lock apt quietly "$build/apt.log" install_packages $missing
}

install_packages() {
    # a package list of yesterday may name files that are gone
    apt_install "$@" || { $as_root apt-get -q update && apt_install "$@"; }
}

apt_install() {
    $as_root DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@"
}
