//! The tutorial's page with actix-session and its store for Redis, as its documentation sets it up.

use std::time::Duration;

use actix_session::storage::RedisSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::{App, Error, HttpResponse, HttpServer, get, post, web};

const NOBODY: &str = "You are not logged in\n";

#[get("/")]
async fn index(session: Session) -> Result<String, Error> {
    let Some(user) = session.get::<String>("user")? else { return Ok(NOBODY.into()) };
    let visits = session.get::<u64>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(format!("Logged in as {user}, visits: {visits}\n"))
}

#[get("/read")]
async fn read(session: Session) -> Result<String, Error> {
    let Some(user) = session.get::<String>("user")? else { return Ok(NOBODY.into()) };
    let visits = session.get::<u64>("visits")?.unwrap_or(0);
    Ok(format!("Logged in as {user}, visits: {visits}\n"))
}

#[get("/untouched")]
async fn untouched() -> &'static str {
    "Welcome\n"
}

#[derive(serde::Deserialize)]
struct Login {
    username: String,
}

fn to_the_page() -> HttpResponse {
    HttpResponse::SeeOther().insert_header(("Location", "/")).finish()
}

#[post("/login")]
async fn log_in(session: Session, form: web::Form<Login>) -> Result<HttpResponse, Error> {
    session.renew();
    session.insert("user", &form.username)?;
    Ok(to_the_page())
}

#[post("/logout")]
async fn log_out(session: Session) -> HttpResponse {
    session.purge();
    to_the_page()
}

#[post("/set/{field}")]
async fn set(session: Session, field: web::Path<String>) -> Result<HttpResponse, Error> {
    if session.get::<String>("user")?.is_none() {
        return Ok(HttpResponse::Unauthorized().finish());
    }
    // The work of a slow request.
    actix_web::rt::time::sleep(Duration::from_millis(20)).await;
    session.insert(field.as_str(), "set")?;
    Ok(HttpResponse::Ok().finish())
}

#[get("/fields")]
async fn fields(session: Session) -> Result<String, Error> {
    let (a, b) = (session.get::<String>("a")?, session.get::<String>("b")?);
    Ok(format!("{},{}", a.unwrap_or_default(), b.unwrap_or_default()))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = Key::derive_from(std::env::var("SECRET_KEY")?.as_bytes());
    let store = RedisSessionStore::new(std::env::var("REDIS_URL")?).await?;
    let server = HttpServer::new(move || {
        App::new()
            .wrap(SessionMiddleware::new(store.clone(), key.clone()))
            .service(index)
            .service(read)
            .service(untouched)
            .service(log_in)
            .service(log_out)
            .service(set)
            .service(fields)
    });
    let server = server.bind(("127.0.0.1", 0))?;
    println!("http://{}", server.addrs()[0]);
    Ok(server.run().await?)
}
