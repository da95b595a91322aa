"""The page of the tutorial that this project began with: a name in a signed cookie, HINCRBY, EXPIRE.

It is the third step, with its order of commands: the count, then the time to live. A logout only makes the
browser forget.
"""

import os
import time

import redis
from flask import Flask, redirect, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
store = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)


@app.get("/")
def index():
    if "username" not in session:
        return "You are not logged in\n"
    username = session["username"]
    visits = store.hincrby(username, "visits", 1)
    store.expire(username, 10)
    return f"Logged in as {username}, visits: {visits}\n"


@app.get("/untouched")
def untouched():
    return "Welcome\n"


@app.post("/login")
def log_in():
    session["username"] = request.form["username"]
    return redirect("/", 303)


@app.post("/logout")
def log_out():
    session.pop("username", None)
    return redirect("/", 303)


@app.post("/set/<field>")
def set_field(field):
    if "username" not in session:
        return "", 401
    time.sleep(0.02)
    store.hset(session["username"], field, "set")
    return ""


@app.get("/fields")
def fields():
    a, b = store.hmget(session["username"], "a", "b")
    return f"{a or ''},{b or ''}"
