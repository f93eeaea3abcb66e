# SPDX-License-Identifier: MIT
"""A key-value server that speaks the Redis protocol well enough for redis-cli and redis-benchmark: GET, SET (EX, PX),
DEL, EXISTS, INCR, MGET, MSET, EXPIRE, TTL, PING, ECHO, DBSIZE, FLUSHALL, INFO, QUIT; pipelines; words on a line.

    ./exo run examples/kv.py
    redis-cli -p 6379 set greeting hello
    redis-benchmark -t set,get,incr -P 16 -q

Everything is in memory, in a table of fixed size: keys up to 64 bytes, values up to 512. Nothing survives Ctrl-C.
"""

from exokernel.exos.net import network, resp, streams, tcp
from exokernel.exos.net.resp import Command
from exokernel.exos.net.tcp import Connection, Event
from exokernel.machine import cpu
from exokernel.machine.cpu import read_timestamp
from exokernel.metal import Array, Span, format_into, i64, struct, u8, u16, u64

FORWARD = ["tcp:6379:6379"]
PORT = 6379
CONNECTIONS = 256
BUFFER = 32768
BUFFERS = 64
ROWS = 8192  # a power of two; at most three quarters are used
KEY = 64
VALUE = 512
KEEP_ALIVE = 300  # seconds of silence until a client is asked whether it is there
LARGEST_REPLY = 17000  # of one command: MGET of all that a command can name

FREE, USED, GONE = 0, 1, 2


@struct
class Row:
    state: u8
    key_length: u8
    value_length: u16
    expires: u64  # on the clock; 0: never
    key: Array[u8, KEY]
    value: Array[u8, VALUE]


connections: Array[Connection, CONNECTIONS] = Array[Connection, CONNECTIONS](
    [tcp.new_connection() for _ in range(CONNECTIONS)]
)
buffers: Array[u8, BUFFERS * BUFFER] = Array[u8, BUFFERS * BUFFER]()
rows: Array[Row, ROWS] = Array[Row, ROWS]()
used: u64 = 0
dirty: u64 = 0  # used, or gone
secret: u64 = 0
commands: u64 = 0
reply: Array[u8, 2 * LARGEST_REPLY] = Array[u8, 2 * LARGEST_REPLY]()
filled: u64 = 0


# ---- the table


def place_of(key: Span[u8]) -> u64:
    hash_ = secret
    for byte in key:
        hash_ = (hash_ ^ byte) * 0x100000001B3
    return (hash_ ^ (hash_ >> 29)) * 0x9E3779B97F4A7C15 >> 51 & (ROWS - 1)


def find(key: Span[u8]) -> u64:
    """The row of a key that has not expired, or ROWS."""
    if len(key) > KEY:
        return ROWS
    i = place_of(key)
    for _ in range(ROWS):
        row = rows[i]
        if row.state == FREE:
            return ROWS
        if row.state == USED and row.key_length == len(key) and same(row.key[: len(key)], key):
            if row.expires != 0 and read_timestamp() >= row.expires:
                remove(i)
                return ROWS
            return i
        i = (i + 1) & (ROWS - 1)
    return ROWS


def same(a: bytes, b: bytes) -> bool:
    return a == b


def remove(i: u64) -> None:
    global used
    rows[i].state = GONE
    used -= 1


def put(key: Span[u8], value: Span[u8]) -> u64:
    """Store a value; its row, or ROWS when there is no room."""
    global used, dirty
    i = find(key)
    if i == ROWS:
        if used >= ROWS // 4 * 3:
            return ROWS
        if dirty >= ROWS // 8 * 7:
            sweep()
        i = place_of(key)
        while rows[i].state == USED:
            i = (i + 1) & (ROWS - 1)
        dirty += u64(rows[i].state == FREE)
        used += 1
        rows[i].state = USED
        rows[i].key_length = u8(len(key))
        rows[i].key[: len(key)].copy_from(key)
    rows[i].value_length = u16(len(value))
    rows[i].value[: len(value)].copy_from(value)
    rows[i].expires = 0
    return i


def sweep() -> None:
    """Free the rows that are gone and that no key was put behind."""
    global dirty
    for j in range(2 * ROWS):  # twice, since the table is a ring
        i = (2 * ROWS - 1 - j) & (ROWS - 1)
        if rows[i].state == GONE and rows[(i + 1) & (ROWS - 1)].state == FREE:
            rows[i].state = FREE
            dirty -= 1


# ---- answers


def say(text: str) -> None:
    global filled
    filled += format_into(reply[filled:], f"{text}\r\n")


def say_number(number: i64) -> None:
    global filled
    filled += format_into(reply[filled:], f":{number}\r\n")


def say_bytes(data: Span[u8]) -> None:
    global filled
    filled += format_into(reply[filled:], f"${len(data)}\r\n")
    reply[filled : filled + len(data)].copy_from(data)
    filled += len(data)
    reply[filled] = 13
    reply[filled + 1] = 10
    filled += 2


def say_row(i: u64) -> None:
    if i == ROWS:
        say("$-1")
    else:
        say_bytes(rows[i].value[: u64(rows[i].value_length)])


def is_word(data: Span[u8], word: bytes) -> bool:
    """Whether `data` is `word` (of small letters), in letters of whatever size."""
    if len(data) != len(word):
        return False
    for i in range(len(data)):
        if data[i] | 32 != word[i]:
            return False
    return True


def number_of(data: Span[u8]) -> tuple[i64, bool]:
    """The number that the text is, and whether it is one (of at most 18 digits)."""
    i: u64 = 0
    negative = len(data) > 0 and data[0] == 45
    if negative:
        i = 1
    if i == len(data) or len(data) - i > 18:
        return 0, False
    number: i64 = 0
    while i < len(data):
        if data[i] < 48 or data[i] > 57:
            return 0, False
        number = number * 10 + (data[i] - 48)
        i += 1
    return (0 - number if negative else number), True


def set_value(command: Command, data: Span[u8]) -> None:
    if len(command.word(data, 1)) > KEY or len(command.word(data, 2)) > VALUE:
        say("-ERR keys have at most 64 bytes, values 512")
        return
    ticks: u64 = 0
    if command.count == 5:
        seconds = is_word(command.word(data, 3), b"ex")
        number, good = number_of(command.word(data, 4))
        if not (seconds or is_word(command.word(data, 3), b"px")) or not good or number <= 0 or number > 1 << 40:
            say("-ERR syntax error")
            return
        ticks = u64(number) * network.card.second if seconds else u64(number) * (network.card.second // 1000)
    elif command.count != 3:
        say("-ERR syntax error")
        return
    i = put(command.word(data, 1), command.word(data, 2))
    if i == ROWS:
        say("-OOM the table is full")
        return
    if ticks != 0:
        rows[i].expires = read_timestamp() + ticks
    say("+OK")


def set_several(command: Command, data: Span[u8]) -> None:
    count = u64(command.count)
    if count & 1 == 0:
        say("-ERR wrong number of arguments for 'mset' command")
        return
    for i in range(1, count, 2):
        if len(command.word(data, i)) > KEY or len(command.word(data, i + 1)) > VALUE:
            say("-ERR keys have at most 64 bytes, values 512")
            return
    if used + count // 2 > ROWS // 4 * 3:  # all or nothing, counted as if all were new
        say("-OOM the table is full")
        return
    for i in range(1, count, 2):
        put(command.word(data, i), command.word(data, i + 1))
    say("+OK")


def increment(key: Span[u8]) -> None:
    if len(key) > KEY:
        say("-ERR keys have at most 64 bytes, values 512")
        return
    i = find(key)
    number: i64 = 0
    expires: u64 = 0
    if i != ROWS:
        expires = rows[i].expires
        number, good = number_of(rows[i].value[: u64(rows[i].value_length)])
        if not good:
            say("-ERR value is not an integer or out of range")
            return
    text = Array[u8, 24]()
    i = put(key, text[: format_into(text, f"{number + 1}")])
    if i == ROWS:
        say("-OOM the table is full")
        return
    rows[i].expires = expires
    say_number(number + 1)


def expire(command: Command, data: Span[u8]) -> None:
    i = find(command.word(data, 1))
    number, good = number_of(command.word(data, 2))
    if not good or number > 1 << 40:
        say("-ERR value is not an integer or out of range")
        return
    if i != ROWS and number <= 0:
        remove(i)
    elif i != ROWS:
        rows[i].expires = read_timestamp() + u64(number) * network.card.second
    say_number(i64(i != ROWS))


def left_of(key: Span[u8]) -> i64:
    """Seconds until a key expires; -1: never, -2: there is none."""
    i = find(key)
    if i == ROWS:
        return -2
    if rows[i].expires == 0:
        return -1
    second = network.card.second
    return i64((rows[i].expires - read_timestamp() + second - 1) // second)


def execute(command: Command, data: Span[u8]) -> bool:
    """Answer one command; False ends the connection."""
    global used, dirty
    count = u64(command.count)
    if count == 0:
        return True
    name = command.word(data, 0)
    if is_word(name, b"get") and count == 2:
        say_row(find(command.word(data, 1)))
    elif is_word(name, b"set") and count >= 3:
        set_value(command, data)
    elif is_word(name, b"incr") and count == 2:
        increment(command.word(data, 1))
    elif is_word(name, b"mget") and count >= 2:
        global filled
        filled += format_into(reply[filled:], f"*{count - 1}\r\n")
        for i in range(1, count):
            say_row(find(command.word(data, i)))
    elif is_word(name, b"mset") and count >= 3:
        set_several(command, data)
    elif (is_word(name, b"del") or is_word(name, b"exists")) and count >= 2:
        removes = len(name) == 3
        found: i64 = 0
        for i in range(1, count):
            row = find(command.word(data, i))
            if row != ROWS:
                found += 1
                if removes:
                    remove(row)
        say_number(found)
    elif is_word(name, b"ping"):
        if count > 1 and len(command.word(data, 1)) <= VALUE:
            say_bytes(command.word(data, 1))
        else:
            say("+PONG")
    elif is_word(name, b"echo") and count == 2:
        say_bytes(command.word(data, 1))
    elif is_word(name, b"expire") and count == 3:
        expire(command, data)
    elif is_word(name, b"ttl") and count == 2:
        say_number(left_of(command.word(data, 1)))
    elif is_word(name, b"dbsize"):
        say_number(i64(used))
    elif is_word(name, b"flushall"):
        for each in rows:
            each.state = FREE
        used = 0
        dirty = 0
        say("+OK")
    elif is_word(name, b"info"):
        text = Array[u8, 256]()
        length = format_into(
            text,
            f"# Server\r\nredis_version:0 (exokernel)\r\n# Stats\r\ntotal_connections_received:{streams.host.opened}\r\n"
            f"total_commands_processed:{commands}\r\n# Keyspace\r\ndb0:keys={used}\r\n",
        )
        say_bytes(text[:length])
    elif is_word(name, b"config") and count == 3:  # asked by redis-benchmark, before all else
        say("*2")
        say_bytes(command.word(data, 2))
        say("$0\r\n")
    elif is_word(name, b"quit"):
        say("+OK")
        return False
    else:
        say("-ERR unknown command, or a wrong number of arguments")
    return True


# ---- connections


def flush(connection: Connection) -> None:
    global filled
    streams.write(connection, reply[:filled])
    filled = 0


def answer_all(connection: Connection) -> None:
    """Answer what has arrived, as far as there is room for answers."""
    global commands
    command = Command()
    data = streams.arrived(connection)
    room = streams.room(connection)
    done: u64 = 0
    going = True
    waits = False
    while going and not waits:
        result = resp.parse(data[done:], command)
        if result == resp.INCOMPLETE:
            break
        waits = room < filled + LARGEST_REPLY
        if waits:
            break
        if result != resp.OK:
            say("-ERR Protocol error")
            going = False
            break
        commands += 1
        going = execute(command, data[done:])
        done += command.length
        if filled >= LARGEST_REPLY:
            room -= filled
            flush(connection)
    if filled != 0:
        flush(connection)
    streams.consume(connection, done)
    if waits:
        streams.want_room(connection)
    elif not going or connection.user != 0:
        streams.close(connection)


def serve(connection: Connection, event: u8) -> None:
    if event == Event.OPENED:
        connection.no_delay = True
        streams.set_keep_alive(connection, KEEP_ALIVE)
        return
    if event == Event.LOST:
        return
    if event == Event.END:
        connection.user = 1
    answer_all(connection)


def main() -> bool:
    global secret
    if not network.start():
        print("There is no network device, or another environment has it.")
        return True
    secret = cpu.random()
    streams.start(connections, buffers, BUFFER)
    streams.listen(PORT, serve)
    print(f"Keys and values on TCP port {PORT}.")
    network.serve_forever()
    return False
