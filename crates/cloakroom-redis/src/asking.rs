//! The same question to several servers, of which one answer is enough.

use std::time::Duration;

use redis::{Pipeline, RedisError, Value};
use tokio::task::JoinSet;

use crate::line::Line;

/// How long one is waited for before the next is asked as well. A server that is away says so at once
/// or never.
const HEAD_START: Duration = Duration::from_millis(100);

/// A round of questions: one after the other, the next when one fails or is slow.
pub(crate) struct Round {
    lines: std::vec::IntoIter<Line>,
    question: Pipeline,
    within: Duration,
    asked: JoinSet<(Line, Result<Value, RedisError>)>,
}

impl Round {
    /// Each has so long for its answer.
    pub(crate) fn of(lines: Vec<Line>, question: Pipeline, within: Duration) -> Self {
        Self { lines: lines.into_iter(), question, within, asked: JoinSet::new() }
    }

    /// The next answer, whoever gives it; `None` when all have been heard.
    pub(crate) async fn next(&mut self) -> Option<(Line, Result<Value, RedisError>)> {
        loop {
            if let Some(line) = self.lines.next() {
                let (question, within) = (self.question.clone(), self.within);
                self.asked.spawn(async move {
                    let answer = tokio::time::timeout(within, ask(&line, &question)).await;
                    let late = || Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
                    (line, answer.unwrap_or_else(|_| late()))
                });
            }
            let heard = self.asked.join_next();
            let heard = if self.lines.len() == 0 {
                heard.await?
            } else if let Ok(heard) = tokio::time::timeout(HEAD_START, heard).await {
                heard?
            } else {
                continue;
            };
            // One whose task was ended is not heard.
            if let Ok(answer) = heard {
                return Some(answer);
            }
        }
    }
}

async fn ask(line: &Line, question: &Pipeline) -> Result<Value, RedisError> {
    let mut answers = line.connection().await?.ask_all(question).await?;
    answers.pop().ok_or_else(|| std::io::Error::other("no answer").into())
}
