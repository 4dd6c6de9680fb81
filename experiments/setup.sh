# Sourced by quickstart.sh and tests/run.sh, with the shell in the top folder of the clone: the
# packages of Debian 12 and Ubuntu 24.04 that the build needs, and the build itself.

build_packages="build-essential cmake git pkg-config libyaml-dev libsqlite3-dev libopenblas-dev
liblapacke-dev libxxhash-dev libhdf5-dev gnuplot-nox"
test_packages="libcmocka-dev python3-numpy python3-h5py"

say() {
    printf '== %s\n' "$*"
}

# Of the packages named, those that dpkg does not have installed. Virtual and renamed packages
# (pkg-config is pkgconf's on some releases) count as installed where something provides them.
missing_packages() {
    have=" $(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' |
        sed -n 's/^installed //p' | tr -d ',' | tr '\n' ' ')"
    for package; do
        case $have in
        *" $package "*) ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

# Asks the network for nothing where all is there.
install_packages() {
    if ! command -v dpkg-query >/dev/null; then
        say "no dpkg here, so nothing is installed; the build needs what Debian calls: $*"
        return
    fi
    missing=$(missing_packages "$@")
    [ "$missing" ] || return 0
    get="apt-get install -y --no-install-recommends $missing"
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif command -v sudo >/dev/null; then
        sudo="sudo"
    else
        say "packages are missing, and you are neither root nor have sudo. As root, type" >&2
        echo "apt-get update && $get" >&2
        exit 2
    fi
    say "installing $missing"
    $sudo env DEBIAN_FRONTEND=noninteractive sh -c "apt-get update -q && $get"
}

# build_preset NAME TARGET: configures once (what changes later, CMake notices itself), then builds
# the target: ivfbench, or all, which is the tests too. A folder that was configured before cmocka
# was there has no tests yet, and is configured again. Sets $dir, where it was built.
build_preset() {
    case $1 in
    release) dir=build ;;
    *) dir=build-$1 ;;
    esac
    case $2 in
    all) configured=$dir/tests/CTestTestfile.cmake ;;
    *) configured=$dir/CTestTestfile.cmake ;;
    esac
    [ -f "$configured" ] || cmake --preset "$1"
    cmake --build "$dir" --target "$2" -j "$(nproc)"
}
