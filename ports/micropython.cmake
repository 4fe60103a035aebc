# The module _mqtt_as as a part of a firmware, for MicroPython's ports that are built by CMake:
#     make USER_C_MODULES=/path/to/the/checkout/ports/micropython.cmake FROZEN_MANIFEST=... (see manifest.py)
# With CMAKE_ARGS=-DMQTT=3.1.1 it is a fifth smaller and without MQTT 5. MQTT_PACKAGES="mqtt_as umqtt", which make or the
# environment gives, says what of python/ is frozen.
# With CMAKE_ARGS=-DTLS=1 and TLS=1 in the environment, for what is frozen, it has _mqtt_tls and mqtt_as.tls13, too: TLS
# 1.3, see docs/TLS13.md; TLS=p256 a smaller one.
set(MQTT_AS_O ${CMAKE_BINARY_DIR}/mqtt_as/module.o)

# cargo knows what is out of date: ask it each time
separate_arguments(MQTT_AS_FLAGS UNIX_COMMAND "${CMAKE_C_FLAGS}")
add_custom_target(mqtt_as_library
    COMMAND ${CMAKE_COMMAND} -E env MQTT=${MQTT} TLS=${TLS} ${CMAKE_CURRENT_LIST_DIR}/library ${MQTT_AS_O} ${CMAKE_C_COMPILER} ${MQTT_AS_FLAGS}
    BYPRODUCTS ${MQTT_AS_O}
    VERBATIM
)

# The Python layer's objects, for which mpy-cross has to be there (make -C mpy-cross). They are made here, since names
# are looked for in them before anything is built.
set(MQTT_AS_FROZEN ${CMAKE_BINARY_DIR}/mqtt_as/frozen.c)
set(MQTT_AS_FREEZE ${CMAKE_CURRENT_LIST_DIR}/freeze)
file(GLOB MQTT_AS_PYTHON CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/../python/*/*.py)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${MQTT_AS_FREEZE} ${MQTT_AS_PYTHON})
execute_process(COMMAND ${MQTT_AS_FREEZE} ${MICROPY_DIR} ${MQTT_AS_FROZEN} RESULT_VARIABLE MQTT_AS_FAILED)
if(MQTT_AS_FAILED)
    message(FATAL_ERROR "mqtt_as: ${MQTT_AS_FREEZE} failed")
endif()

add_library(usermod_mqtt_as INTERFACE)
add_dependencies(usermod_mqtt_as mqtt_as_library)
target_sources(usermod_mqtt_as INTERFACE ${CMAKE_CURRENT_LIST_DIR}/mqtt_as.c ${MQTT_AS_FROZEN})
target_link_libraries(usermod_mqtt_as INTERFACE ${MQTT_AS_O})
if(MQTT STREQUAL "3.1.1")
    target_compile_definitions(usermod INTERFACE MQTT_AS_3_1_1=1)
endif()
if(TLS)
    target_sources(usermod_mqtt_as INTERFACE ${CMAKE_CURRENT_LIST_DIR}/mqtt_tls.c)
endif()
target_link_libraries(usermod INTERFACE usermod_mqtt_as)
