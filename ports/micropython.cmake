# The module _mqtt_as as a part of a firmware, for MicroPython's ports that are built by CMake:
#     make USER_C_MODULES=/path/to/the/checkout/ports/micropython.cmake FROZEN_MANIFEST=... (see manifest.py)
# With CMAKE_ARGS=-DMQTT=3.1.1 it is a fifth smaller and without MQTT 5.
set(MQTT_AS_O ${CMAKE_BINARY_DIR}/mqtt_as/module.o)

# cargo knows what is out of date: ask it each time
separate_arguments(MQTT_AS_FLAGS UNIX_COMMAND "${CMAKE_C_FLAGS}")
add_custom_target(mqtt_as_library
    COMMAND ${CMAKE_COMMAND} -E env MQTT=${MQTT} ${CMAKE_CURRENT_LIST_DIR}/library ${MQTT_AS_O} ${CMAKE_C_COMPILER} ${MQTT_AS_FLAGS}
    BYPRODUCTS ${MQTT_AS_O}
    VERBATIM
)

add_library(usermod_mqtt_as INTERFACE)
add_dependencies(usermod_mqtt_as mqtt_as_library)
target_sources(usermod_mqtt_as INTERFACE ${CMAKE_CURRENT_LIST_DIR}/mqtt_as.c)
target_link_libraries(usermod_mqtt_as INTERFACE ${MQTT_AS_O})
if(MQTT STREQUAL "3.1.1")
    target_compile_definitions(usermod INTERFACE MQTT_AS_3_1_1=1)
endif()
target_link_libraries(usermod INTERFACE usermod_mqtt_as)
