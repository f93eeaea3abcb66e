// SPDX-License-Identifier: MIT
// The first process: mounts, and does what the kernel's command line says.
//   address=A gateway=G   loads the modules that are there, and brings eth0 up
//   neighbour=A/M         a station there that need not be asked for
//   services=a:x,b:y      starts these programs, each with its argument, and with the serial line as its output
//   programs=a,b,c        runs these one after the other, and passes what they print to port 0xe9, QEMU's control channel,
//                         when they are done; then the machine ends (port 0xf4), if there are no services
// All are children because the kernel prints each fault that the first process handles.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTROL 0xe9
#define EXIT 0xf4

static char command_line[4096];

// The value of `key=` on the kernel's command line, or 0.
static char *parameter(const char *key) {
    static char copy[sizeof command_line];
    strcpy(copy, command_line);
    for (char *word = strtok(copy, " \n"); word; word = strtok(0, " \n")) {
        size_t length = strlen(key);
        if (strncmp(word, key, length) == 0 && word[length] == '=') return strdup(word + length + 1);
    }
    return 0;
}

// The right to use ports costs at each switch and is inherited, so nobody has it for longer than this.
static void say(const char *text, size_t length) {
    if (iopl(3)) _exit(1);
    for (size_t i = 0; i < length; i++) outb(text[i], CONTROL);
    iopl(0);
}

static void complain(const char *what, const char *which) {
    char line[256];
    say(line, snprintf(line, sizeof line, "failed: %s %s: %s\n", what, which, strerror(errno)));
}

static void load_modules(void) {
    char path[64];
    for (int i = 0;; i++) {
        snprintf(path, sizeof path, "/modules/%02d.ko", i);
        int file = open(path, O_RDONLY);
        if (file < 0) return;
        if (syscall(SYS_finit_module, file, "", 0) && errno != EEXIST) complain("module", path);
        close(file);
    }
}

static void set_address(struct sockaddr *where, const char *text) {
    struct sockaddr_in *address = (struct sockaddr_in *)where;
    address->sin_family = AF_INET;
    inet_pton(AF_INET, text, &address->sin_addr);
}

static void bring_up(const char *name, const char *address, const char *mask, const char *gateway) {
    int socket_number = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq request = {0};
    strcpy(request.ifr_name, name);
    set_address(&request.ifr_addr, address);
    if (ioctl(socket_number, SIOCSIFADDR, &request)) complain("address of", name);
    set_address(&request.ifr_netmask, mask);
    if (ioctl(socket_number, SIOCSIFNETMASK, &request)) complain("mask of", name);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(socket_number, SIOCSIFFLAGS, &request)) complain("flags of", name);
    if (gateway) {
        struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
        set_address(&route.rt_dst, "0.0.0.0");
        set_address(&route.rt_genmask, "0.0.0.0");
        set_address(&route.rt_gateway, gateway);
        if (ioctl(socket_number, SIOCADDRT, &route)) complain("route of", name);
    }
    close(socket_number);
}

static void know(char *words) {
    struct arpreq request = {.arp_flags = ATF_COM | ATF_PERM, .arp_dev = "eth0"};
    unsigned char *station = (unsigned char *)request.arp_ha.sa_data;
    char *after = strchr(words, '/');
    if (!after) return;
    *after++ = 0;
    for (int i = 0; i < 6; i++) station[i] = strtol(after + 3 * i, 0, 16);
    request.arp_ha.sa_family = ARPHRD_ETHER;
    set_address(&request.arp_pa, words);
    int socket_number = socket(AF_INET, SOCK_DGRAM, 0);
    if (ioctl(socket_number, SIOCSARP, &request)) complain("neighbour", words);
    close(socket_number);
}

// `folder/name:argument`; an argument is not needed.
static void start(char *words) {
    char path[256];
    char *argument = strchr(words, ':');
    if (argument) *argument++ = 0;
    snprintf(path, sizeof path, "%s%s", strchr(words, '/') ? "/" : "/bin/", words);
    if (fork() == 0) {
        setsid();
        execl(path, path, argument, (char *)0);
        printf("failed: %s: %s\n", path, strerror(errno));
        exit(127);
    }
}

static void run(const char *name) {
    static char output[1 << 20];
    char path[256];
    int ends[2];
    size_t length = 0;
    ssize_t got;
    int status = 0;
    snprintf(path, sizeof path, "/bin/%s", name);
    if (pipe(ends)) complain("pipe for", name);
    pid_t process = fork();
    if (process == 0) {
        setsid();
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        execl(path, path, (char *)0);
        dprintf(1, "failed: %s: %s\n", path, strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    while (length < sizeof output && (got = read(ends[0], output + length, sizeof output - length)) > 0) length += got;
    close(ends[0]);
    waitpid(process, &status, 0);
    char line[256];
    say(line, snprintf(line, sizeof line, "program %s\n", name));
    say(output, length);
    say(line, snprintf(line, sizeof line, "status %d\n", status));
}

int main(void) {
    mount("proc", "/proc", "proc", 0, 0);
    mount("sysfs", "/sys", "sysfs", 0, 0);
    mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
    int file = open("/proc/cmdline", O_RDONLY);
    if (read(file, command_line, sizeof command_line - 1) <= 0) complain("command line", "");
    close(file);
    char *address = parameter("address"), *services = parameter("services"), *programs = parameter("programs");
    int console = open("/dev/console", O_RDWR);
    for (int i = 0; i < 3; i++) dup2(console, i);
    if (address) {
        load_modules();
        struct stat found;
        for (int i = 0; i < 400 && stat("/sys/class/net/eth0", &found); i++) usleep(5000);
        bring_up("lo", "127.0.0.1", "255.0.0.0", 0);
        bring_up("eth0", address, "255.255.255.0", parameter("gateway"));
        char *neighbour = parameter("neighbour");
        if (neighbour) know(neighbour);
    }
    for (char *words = services ? strtok(services, ",") : 0; words; words = strtok(0, ",")) start(words);
    for (char *name = programs ? strtok(programs, ",") : 0; name; name = strtok(0, ",")) run(name);
    while (services) wait(0);
    iopl(3);
    outl(0, EXIT);
    reboot(RB_POWER_OFF);
    return 0;
}
