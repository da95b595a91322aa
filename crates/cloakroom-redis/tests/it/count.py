"""Reads a session and counts one more visit in it, from another language.

Arguments: the folder of the scripts, the server's port, the session's key, the index's key.
"""

import pathlib
import sys

import redis
import umsgpack

folder, port, session_key, index_key = sys.argv[1:]
server = redis.Redis(port=int(port))

if server.type(session_key) == b"hash":
    session = server.hgetall(session_key)
    read = " ".join(session[field].decode() for field in (b"visits", b"name", b"~user"))
else:
    read = "no session"

parts = ["quick.lua", "session.lua", "apply.lua", "fields.lua", "change.lua"]
text = "\n".join((pathlib.Path(folder) / part).read_text() for part in parts)
apply = server.register_script(text)
reply = apply(
    keys=[session_key, index_key],
    args=[0, "logged-in", "16384 64 65536", "count", "visits", 1],
)
if isinstance(reply, bytes):
    outcome, now, expires, visits, fields = umsgpack.unpackb(reply)
    print(f"{read}, {outcome} {visits}")
else:
    print(f"{read}, {reply[0].decode()}")
