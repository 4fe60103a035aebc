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

# the archives apt is configured for, in either format of its source lists
archives() {
    apt-get indextargets --format '$(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "main" && $2 !~ /security/ && !seen[$2]++ { print $2 }'
}

# this release's name
release() { (. /etc/os-release && echo "$VERSION_CODENAME"); }

# other_apt DIR TYPE URI SUITE COMPONENT [ARCHITECTURE]: below DIR an apt of its own that knows these packages only, for
# with_apt. Needs no root. TYPE is deb or deb-src.
other_apt() {
    rm -rf "$1"
    mkdir -p "$1/parts" "$1/state/lists/partial" "$1/cache/archives/partial"
    keyrings=$(ls /usr/share/keyrings/debian-archive-keyring.[gp]*[gp] /usr/share/keyrings/ubuntu-archive-keyring.gpg 2>/dev/null | paste -sd ' ')
    cat >"$1/parts/source.sources" <<END
Types: $2
URIs: $3
Suites: $4
Components: $5
${keyrings:+Signed-By: $keyrings}
END
    cat >"$1/apt.conf" <<END
Dir::State "$1/state";
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "$1/cache";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$1/parts";
Acquire::Languages "none";
APT::Sandbox::User "";
${6:+APT::Architecture "$6"; APT::Architectures { "$6"; \};}
END
    with_apt "$1" apt-get -q update
}

# with_apt DIR COMMAND...
with_apt() {
    own_apt=$1
    shift
    env APT_CONFIG="$own_apt/apt.conf" "$@"
}

# suites with sources worth having, the preferred first
suites() {
    (
        ID='' ID_LIKE='' VERSION_CODENAME='' UBUNTU_CODENAME=''
        . /etc/os-release
        case " $ID $ID_LIKE " in
            *" ubuntu "*) echo "${UBUNTU_CODENAME:-$VERSION_CODENAME}" questing resolute ;;
            *) echo trixie "$VERSION_CODENAME" ;;
        esac
    )
}

# source_package PACKAGE TREE [CHOOSE]: unpack a distribution's source package, with its patches, as the folder TREE, from
# the mirror apt is configured for. Needs no root. CHOOSE is a command that takes one of the versions on its stdin, the
# newest first, or none; without it the newest is taken. False if no suite has one.
source_package() (
    package=$1 unpacked=$2 choose=${3:-head -n 1}
    work=$(mktemp -d "$build/$package.XXXXXX")
    trap 'rm -rf "$work"' EXIT INT TERM
    for uri in $(archives); do
        for suite in $(suites); do
            for component in main universe; do
                case $suite:$component in trixie:universe) continue ;; esac
                say "looking for $package in $suite ($component)"
                other_apt "$work/apt" deb-src "$uri" "$suite" $component >"$work/log" 2>&1 || continue
                # shellcheck disable=SC2086 # a command and its arguments
                version=$(with_apt "$work/apt" apt-cache showsrc --only-source "$package" 2>/dev/null |
                    sed -n 's/^Version: //p' | sort -rV | $choose)
                [ -n "$version" ] || continue
                say "fetching $package $version"
                (
                    cd "$work"
                    with_apt "$work/apt" apt-get -q source --download-only "$package=$version" &&
                        dpkg-source --no-copy -x "${package}"_*.dsc tree
                ) >"$work/log" 2>&1 || { tail "$work/log" >&2; continue; }
                mkdir -p "$unpacked"    # empty at most: a place for it
                mv -T "$work/tree" "$unpacked"
                return 0
            done
        done
    done
    [ ! -s "$work/log" ] || tail -n 5 "$work/log" >&2
    return 1
)

# binary_package PACKAGE TREE ARCHITECTURE SUITE...: unpack a distribution's binary package as the folder TREE, from the first
# suite that has it. Needs no root. ARCHITECTURE is as the distribution calls it, empty for this machine's.
binary_package() (
    package=$1 unpacked=$2 architecture=$3
    shift 3
    work=$(mktemp -d "$build/$package.XXXXXX")
    trap 'rm -rf "$work"' EXIT INT TERM
    cd "$work"
    for uri in $(archives); do
        for suite; do
            # where there is no universe, apt warns only
            other_apt "$work/apt" deb "$uri" "$suite" "main universe" "$architecture" &&
                with_apt "$work/apt" apt-get -q download "$package" && dpkg-deb -x "${package}"_*.deb tree || continue
            rm -rf "$unpacked"
            mkdir -p "${unpacked%/*}"
            mv tree "$unpacked"
            return 0
        done
    done
    return 1
)
