# What the Debian package holds. docker/deb/build makes it: CPack alone does not build what it packs,
# nor the documents in ${CMAKE_BINARY_DIR}/deb.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)  # else CPack builds every test
set(DEB ${CMAKE_CURRENT_LIST_DIR})
set(DEB_DOCUMENTS ${CMAKE_BINARY_DIR}/deb)

install(TARGETS lockstep RUNTIME DESTINATION bin)
install(FILES ${DEB}/lockstep.service ${DEB}/lockstep.socket DESTINATION lib/systemd/system)
install(FILES ${DEB}/default DESTINATION /etc/default RENAME lockstep)
install(DIRECTORY DESTINATION /etc/lockstep)
install(FILES ${DEB_DOCUMENTS}/lockstep.1.gz DESTINATION share/man/man1)
install(FILES ${DEB}/copyright ${DEB_DOCUMENTS}/changelog.gz ${DEB_DOCUMENTS}/sbom.spdx.json
        DESTINATION share/doc/lockstep)

# The version names the release whose libraries the binary is linked with, so that an upgrade of
# Debian is one of the package, too.
file(READ /etc/os-release OS_RELEASE)
string(REGEX MATCH "VERSION_ID=\"?([0-9.]+)" OS_VERSION "${OS_RELEASE}")

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)  # for what belongs into /etc
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ
    GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PACKAGE_CONTACT "the lockstep authors <lockstep@localhost>")
set(CPACK_DEBIAN_PACKAGE_VERSION "${PROJECT_VERSION}~deb${CMAKE_MATCH_1}")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)  # for models by name
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "HTTP inference server for GGUF language models
Serves a language model on the CPU by the APIs of OpenAI, Anthropic and
Ollama. Many requests are decoded together, and each gets the same answer,
bit for bit, whatever else runs.
.
A small model is embedded; others are GGUF files, or fetched by their name on
Hugging Face. The service listens on the loopback interface until
/etc/default/lockstep says otherwise.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${DEB}/conffiles ${DEB}/postinst ${DEB}/prerm ${DEB}/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
