// The tutorial's page with Express, express-session and connect-redis, as their READMEs set them up.
import { setTimeout } from "node:timers/promises";
import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import { createClient } from "redis";

const client = createClient({ url: process.env.REDIS_URL });
await client.connect();

const app = express();
app.use(
  session({
    store: new RedisStore({ client }),
    resave: false,
    saveUninitialized: false,
    secret: process.env.SECRET_KEY,
  }),
);
app.use(express.urlencoded());

const nobody = "You are not logged in\n";
const text = (res, body) => res.type("text/plain").send(body);

app.get("/", (req, res) => {
  if (!req.session.user) return text(res, nobody);
  req.session.visits = (req.session.visits ?? 0) + 1;
  text(res, `Logged in as ${req.session.user}, visits: ${req.session.visits}\n`);
});

app.get("/read", (req, res) => {
  if (!req.session.user) return text(res, nobody);
  text(res, `Logged in as ${req.session.user}, visits: ${req.session.visits ?? 0}\n`);
});

app.get("/untouched", (req, res) => text(res, "Welcome\n"));

app.post("/login", (req, res, next) => {
  const { username } = req.body;
  req.session.regenerate((error) => {
    if (error) return next(error);
    req.session.user = username;
    res.redirect(303, "/");
  });
});

app.post("/logout", (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.redirect(303, "/")));
});

app.post("/set/:field", async (req, res) => {
  if (!req.session.user) return res.sendStatus(401);
  await setTimeout(20);
  req.session[req.params.field] = "set";
  res.sendStatus(200);
});

app.get("/fields", (req, res) => text(res, `${req.session.a ?? ""},${req.session.b ?? ""}`));

const server = app.listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
