// Made by generate. Names that Rust refers to, functions and classes of the module.
#define NAMES(NAME) \
    NAME(IndexError) \
    NAME(MemoryError) \
    NAME(OSError) \
    NAME(RuntimeError) \
    NAME(TypeError) \
    NAME(ValueError) \
    NAME(memoryview)
#define CLASSES(CLASS) \
    CLASS(Session)
#define METHODS_Session(METHOD) \
    METHOD(Session, abandon) \
    METHOD(Session, calling) \
    METHOD(Session, close) \
    METHOD(Session, codes) \
    METHOD(Session, connect) \
    METHOD(Session, control) \
    METHOD(Session, due) \
    METHOD(Session, flush) \
    METHOD(Session, idle) \
    METHOD(Session, new_pid) \
    METHOD(Session, open) \
    METHOD(Session, ping) \
    METHOD(Session, properties) \
    METHOD(Session, publish) \
    METHOD(Session, reason) \
    METHOD(Session, receive) \
    METHOD(Session, subscribe) \
    METHOD(Session, unsent)
#if MQTT_AS_3_1_1
#define FUNCTIONS(FUNCTION)
#else
#define FUNCTIONS(FUNCTION) \
    FUNCTION(decode_properties) \
    FUNCTION(encode_properties)
#endif
#define NAMES_TLS(NAME)
#define CLASSES_TLS(CLASS) \
    CLASS(tls_Connection)
#define METHODS_tls_Connection(METHOD) \
    METHOD(tls_Connection, close) \
    METHOD(tls_Connection, error) \
    METHOD(tls_Connection, handshake) \
    METHOD(tls_Connection, poll) \
    METHOD(tls_Connection, readinto) \
    METHOD(tls_Connection, stack) \
    METHOD(tls_Connection, write)
#define FUNCTIONS_TLS(FUNCTION)
