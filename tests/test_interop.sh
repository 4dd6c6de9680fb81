# Each file format written by another program is read here, and what is written here is read there:
# NumPy and h5py stand for everybody else. Skipped where no Python has them; the system's is asked
# too, since Debian's packages are of use to no other.
set -u

for python in python3 /usr/bin/python3 ''; do
    [ "$python" ] && "$python" -c 'import numpy, h5py' 2>/dev/null && break
done
if [ -z "$python" ]; then
    echo "skipped: no Python with numpy and h5py here (Debian: python3-numpy python3-h5py)"
    exit 77
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$python" tests/interop.py "${IVFBENCH_BINARY:-build/ivfbench}" "$tmp"
