# Writes OUTPUT, a C header with the bytes of each of the FILES as an array, named after the file: page.css becomes
# page_css. Run as a script, with both as -D.
set(header "")
foreach(file IN LISTS FILES)
    get_filename_component(name "${file}" NAME)
    string(MAKE_C_IDENTIFIER "${name}" name)
    file(READ "${file}" bytes HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(REPLACE "0x0a," "0x0a,\n" bytes "${bytes}") # a line of it for a line of the file
    string(APPEND header "static const unsigned char ${name}[] = {\n${bytes}};\n")
endforeach()
file(WRITE "${OUTPUT}" "${header}")
