# Each header can be included first and alone, from C17 and from C++20, without a warning. C++ alone
# would warn of initialisers that name some members; that the others are zero is what C means by it. As
# in the build itself, vectors pass between inlined functions only: their ABI is nobody's business.
set -u

flags="-Wall -Wextra -Werror -Wno-psabi -fsyntax-only -D_GNU_SOURCE -I."
broken=0

alone() {
    if ! printf '#include "%s"\n' "$2" | $1 $flags -; then
        echo "$2 does not stand alone: $1"
        broken=1
    fi
}

# those of the CUDA backend are CUDA C++, for its own compiler
headers=$(find engine kernels results plots harness -name '*.h' ! -path 'kernels/cuda/*')
for header in $headers; do
    alone "${CC:-cc} -std=c17 -x c" "$header"
    alone "${CXX:-c++} -std=c++20 -Wno-missing-field-initializers -x c++" "$header"
done
if [ -z "$headers" ]; then
    echo "no header found: run this from the top folder"
    exit 1
fi
exit $broken
