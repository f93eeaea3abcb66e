# SPDX-License-Identifier: MIT
"""HTTP/1.1 for a server (RFC 9110, RFC 9112): a request is parsed where it lies, the head of an answer is written. Pure:
no state, no connection. Strict, because lenience is how two readers of one stream come to disagree about where a
request ends: lines end with CR LF, names are tokens right before their colon, lengths are told once.
"""

from enum import IntEnum

from exokernel.metal import Span, format_into, inline, struct, u8, u32, u64

LARGEST_HEAD = 4096  # bytes of the request line and the fields
LARGEST_BODY = 2048
LARGEST_ANSWER_HEAD = 256
INCOMPLETE = 0  # instead of a status: more bytes are needed

TAB, LF, CR, SPACE, COLON, SLASH = 9, 10, 13, 32, 58, 47


class Method(IntEnum):
    OTHER = 0
    GET = 1
    HEAD = 2
    POST = 3


class Status(IntEnum):
    OK = 200
    BAD_REQUEST = 400
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    CONTENT_TOO_LARGE = 413
    EXPECTATION_FAILED = 417
    HEADER_FIELDS_TOO_LARGE = 431
    INTERNAL_ERROR = 500
    NOT_IMPLEMENTED = 501  # a transfer coding
    UNAVAILABLE = 503
    VERSION_NOT_SUPPORTED = 505


@struct
class Request:
    """Places are offsets in the bytes that were parsed."""

    method: u8
    keep_alive: bool
    target: u32  # the path with its query: from here
    target_end: u32
    body: u32
    length: u32  # of the whole request, the body included
    # For the answer, to be set by who makes it:
    status: u32
    kind: u8  # Kind
    content: Span[u8]  # the page itself, if it lies somewhere already; of any length


class Kind(IntEnum):
    HTML = 0
    TEXT = 1
    JSON = 2
    BYTES = 3


@inline
def is_token(byte: u8) -> bool:
    """RFC 9110 section 5.6.2."""
    letter = byte | 32
    if (letter >= 97 and letter <= 122) or (byte >= 48 and byte <= 57) or byte == 45:
        return True
    if byte < 33 or byte > 126:
        return False
    return byte == 33 or (byte >= 35 and byte <= 39) or byte == 42 or byte == 43 or byte == 46 or byte == 94 or (
        byte == 95 or byte == 96 or byte == 124 or byte == 126
    )  # fmt: skip


def same(data: Span[u8], word: bytes) -> bool:
    """Whether `data` is `word` (of small letters), in letters of whatever size."""
    if len(data) != len(word):
        return False
    for i in range(len(data)):
        byte = data[i]
        if byte >= 65 and byte <= 90:
            byte |= 32
        if byte != word[i]:
            return False
    return True


def parse(data: Span[u8], request: Request) -> u32:
    """Parse the request at the beginning of `data`. Returns INCOMPLETE, or a Status: OK, and `request` is filled; or why
    it is refused, after which nothing more can be read from that connection.
    """
    end = len(data)
    i: u64 = 0
    while i + 1 < end and i < 8 and data[i] == CR and data[i + 1] == LF:
        i += 2  # RFC 9112 section 2.2
    start = i
    limit = min(end, start + LARGEST_HEAD)
    missing: u32 = INCOMPLETE
    if limit < end:
        missing = Status.HEADER_FIELDS_TOO_LARGE

    # The request line
    while i < limit and is_token(data[i]):
        i += 1
    if i == limit:
        return missing
    if data[i] != SPACE or i == start:
        if data[i] == CR and i == start and i + 1 == end:
            return INCOMPLETE
        return Status.BAD_REQUEST
    request.method = method_of(data[start:i])
    i += 1
    target = i
    while i < limit and data[i] > SPACE and data[i] != 127:
        i += 1
    if i == limit:
        return missing
    if data[i] != SPACE or i == target:
        return Status.BAD_REQUEST
    request.target_end = u32(i)
    if i - target > 7 and same(data[target : target + 7], b"http://"):
        target += 7
        while data[target] != SLASH and data[target] != SPACE:
            target += 1
    if data[target] != SLASH and not (i - target == 1 and data[target] == 42):
        return Status.BAD_REQUEST
    request.target = u32(target)
    i += 1
    if i + 10 > limit:
        return missing if limit < end or only_prefix(data[i:limit]) else u32(Status.BAD_REQUEST)
    if not is_http(data[i : i + 5]) or data[i + 6] != 46:
        return Status.BAD_REQUEST
    major = data[i + 5]
    minor = data[i + 7]
    if major < 48 or major > 57 or minor < 48 or minor > 57 or data[i + 8] != CR or data[i + 9] != LF:
        return Status.BAD_REQUEST
    if major != 49:
        return Status.VERSION_NOT_SUPPORTED
    request.keep_alive = minor != 48
    i += 10

    # The fields
    hosts: u64 = 0
    has_length = False
    coded = False
    expects = False
    length: u64 = 0
    while True:
        if i + 2 > limit:
            return missing
        if data[i] == CR:
            if data[i + 1] != LF:
                return Status.BAD_REQUEST
            i += 2
            break
        name = i
        while i < limit and is_token(data[i]):
            i += 1
        if i == limit:
            return missing
        if data[i] != COLON or i == name:
            return Status.BAD_REQUEST
        name_end = i
        i += 1
        while i < limit and (data[i] == SPACE or data[i] == TAB):
            i += 1
        value = i
        while i < limit and (data[i] >= SPACE or data[i] == TAB) and data[i] != 127:
            i += 1
        if i + 2 > limit:
            return missing
        if data[i] != CR or data[i + 1] != LF:
            return Status.BAD_REQUEST
        value_end = i
        while value_end > value and (data[value_end - 1] == SPACE or data[value_end - 1] == TAB):
            value_end -= 1
        i += 2
        size = name_end - name
        first = data[name] | 32
        if size == 4 and first == 104 and same(data[name:name_end], b"host"):
            hosts += 1
        elif size == 10 and first == 99 and same(data[name:name_end], b"connection"):
            if has_word(data[value:value_end], b"close"):
                request.keep_alive = False
            elif minor == 48 and has_word(data[value:value_end], b"keep-alive"):
                request.keep_alive = True
        elif size == 14 and first == 99 and same(data[name:name_end], b"content-length"):
            if value == value_end or has_length:
                return Status.BAD_REQUEST
            has_length = True
            for j in range(value, value_end):
                if data[j] < 48 or data[j] > 57:
                    return Status.BAD_REQUEST
                length = min(length * 10 + (data[j] - 48), 1 << 40)
        elif size == 17 and first == 116 and same(data[name:name_end], b"transfer-encoding"):
            coded = True
        elif size == 6 and first == 101 and same(data[name:name_end], b"expect"):
            expects = True
    if hosts > 1 or (hosts == 0 and minor != 48) or (coded and (has_length or minor == 48)):
        return Status.BAD_REQUEST
    if coded:
        return Status.NOT_IMPLEMENTED
    if length > LARGEST_BODY:
        return Status.CONTENT_TOO_LARGE
    if i + length > end:
        return u32(Status.EXPECTATION_FAILED) if expects else u32(INCOMPLETE)
    request.body = u32(i)
    request.length = u32(i + length)
    return Status.OK


def only_prefix(data: Span[u8]) -> bool:
    """Whether this can still become a version and the end of a line."""
    pattern = b"HTTP/1.1\r\n"
    for i in range(len(data)):
        digit = i == 5 or i == 7
        if digit and (data[i] < 48 or data[i] > 57):
            return False
        if not digit and data[i] != pattern[i]:
            return False
    return True


def is_http(word: bytes) -> bool:
    return word == b"HTTP/"


def method_of(word: bytes) -> u8:
    if word == b"GET":
        return Method.GET
    if word == b"HEAD":
        return Method.HEAD
    if word == b"POST":
        return Method.POST
    return Method.OTHER


def has_word(value: Span[u8], word: bytes) -> bool:
    """Whether a list of words, separated by commas, has `word`."""
    i: u64 = 0
    while i < len(value):
        while i < len(value) and (value[i] == SPACE or value[i] == TAB or value[i] == 44):
            i += 1
        start = i
        while i < len(value) and value[i] != 44:
            i += 1
        last = i
        while last > start and (value[last - 1] == SPACE or value[last - 1] == TAB):
            last -= 1
        if same(value[start:last], word):
            return True
    return False


def reason(status: u32) -> str:
    """The words of a status."""
    match status:
        case Status.OK:
            return "OK"
        case Status.BAD_REQUEST:
            return "Bad Request"
        case Status.NOT_FOUND:
            return "Not Found"
        case Status.METHOD_NOT_ALLOWED:
            return "Method Not Allowed"
        case Status.CONTENT_TOO_LARGE:
            return "Content Too Large"
        case Status.EXPECTATION_FAILED:
            return "Expectation Failed"
        case Status.HEADER_FIELDS_TOO_LARGE:
            return "Request Header Fields Too Large"
        case Status.NOT_IMPLEMENTED:
            return "Not Implemented"
        case Status.UNAVAILABLE:
            return "Service Unavailable"
        case Status.VERSION_NOT_SUPPORTED:
            return "HTTP Version Not Supported"
        case _:
            return "Internal Server Error"


def kind_name(kind: u8) -> str:
    if kind == Kind.HTML:
        return "text/html; charset=utf-8"
    if kind == Kind.TEXT:
        return "text/plain; charset=utf-8"
    if kind == Kind.JSON:
        return "application/json"
    return "application/octet-stream"


def write_head(buffer: Span[u8], status: u32, kind: u8, length: u64, keep_alive: bool) -> u64:
    """Write the head of an answer with a body of `length` bytes into `buffer` (LARGEST_ANSWER_HEAD bytes); its length.
    There is no Date: the machine has no clock that knows it (RFC 9110 section 6.6.1).
    """
    allow = "Allow: GET, HEAD\r\n" if status == Status.METHOD_NOT_ALLOWED else ""
    close = "" if keep_alive else "Connection: close\r\n"
    return format_into(
        buffer,
        f"HTTP/1.1 {status} {reason(status)}\r\nContent-Type: {kind_name(kind)}\r\n"
        f"Content-Length: {length}\r\n{allow}{close}\r\n",
    )
