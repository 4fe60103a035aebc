// libmosquitto, for comparison: arguments and output as those of device/measure.py.
#include <mosquitto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const TOPIC = "bench/to", *const ECHO = "bench/back";
static int qos, tasks = 1, ms, size = 100, v5, count;
static long received, outstanding, total, since;
static double started, used;
static bool connected, subscribed, echoes;

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double now(void) {
    return seconds(CLOCK_MONOTONIC);
}

static double cpu(void) {
    return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static void check(int rc) {
    if (rc != MOSQ_ERR_SUCCESS) {
        fprintf(stderr, "libmosquitto: %s\n", mosquitto_strerror(rc));
        exit(1);
    }
}

static void result(long n) {
    printf("result %f %f\n", n / (now() - started), (cpu() - used) * 1e6 / n);
    fflush(stdout);
    exit(0);
}

static void said(const char *word) {
    puts(word);
    fflush(stdout);
}

static void on_connect(struct mosquitto *m, void *u, int rc) {
    check(rc);
    connected = true;
}

static void on_subscribe(struct mosquitto *m, void *u, int mid, int n, const int *granted) {
    subscribed = true;
}

static void on_publish(struct mosquitto *m, void *u, int mid) {
    outstanding--;
    total++;
}

static void message(struct mosquitto *m, const struct mosquitto_message *msg) {
    if (echoes) {
        check(mosquitto_publish(m, NULL, ECHO, msg->payloadlen, msg->payload, 0, false));
        return;
    }
    received++;
    if (count) {
        if (received == count) result(count);
    } else if (received % 100 == 0) {
        double t = now();
        if (!started) started = t, used = cpu(), since = received;
        else if (t - started >= ms / 1e3) result(received - since);
    }
}

static void on_message(struct mosquitto *m, void *u, const struct mosquitto_message *msg) {
    message(m, msg);
}

static void on_message_v5(struct mosquitto *m, void *u, const struct mosquitto_message *msg, const mosquitto_property *p) {
    message(m, msg);
}

static void publish(struct mosquitto *m, const void *payload) {
    outstanding++;
    check(mosquitto_publish(m, NULL, TOPIC, size, payload, qos, false));
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    for (char *word = strtok(argv[4], " "); word; word = strtok(NULL, " ")) {
        sscanf(word, "qos=%d", &qos);
        sscanf(word, "tasks=%d", &tasks);
        sscanf(word, "ms=%d", &ms);
        sscanf(word, "size=%d", &size);
        sscanf(word, "count=%d", &count);
        sscanf(word, "v5=%d", &v5);
    }
    mosquitto_lib_init();
    struct mosquitto *m = mosquitto_new("bench", true, NULL);
    mosquitto_int_option(m, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_max_inflight_messages_set(m, 0);
    if (v5) {
        mosquitto_int_option(m, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
        mosquitto_message_v5_callback_set(m, on_message_v5);
    } else mosquitto_message_callback_set(m, on_message);
    mosquitto_connect_callback_set(m, on_connect);
    mosquitto_subscribe_callback_set(m, on_subscribe);
    mosquitto_publish_callback_set(m, on_publish);
    check(mosquitto_connect(m, argv[2], atoi(argv[3]), 60));
    while (!connected) check(mosquitto_loop(m, -1, 1));
    if (strcmp(argv[1], "publish") == 0) {
        void *payload = calloc(1, size + 1);
        started = now();
        used = cpu();
        while (count ? total < count : now() - started < ms / 1e3) {
            if (outstanding < tasks) publish(m, payload);
            else check(mosquitto_loop(m, -1, 1));
        }
        result(total);
    }
    echoes = strcmp(argv[1], "echo") == 0;
    check(mosquitto_subscribe(m, NULL, TOPIC, qos));
    while (!subscribed) check(mosquitto_loop(m, -1, 1));
    said("ready");
    for (;;) check(mosquitto_loop(m, -1, 1));
}
