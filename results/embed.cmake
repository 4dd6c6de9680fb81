# Writes OUT: a C header with the text file IN as the string constant NAME. Byte by byte, since
# C caps the length of a literal and CMake would trip over brackets and semicolons.
file(READ ${IN} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
get_filename_component(file ${IN} NAME)
file(WRITE ${OUT} "/* ${file}, made by embed.cmake at build time */\nstatic const char ${NAME}[] = {${bytes}0x00};\n")
