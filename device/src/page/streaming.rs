//! Answers without an end: the preview's pictures and the board's state.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::access::{Access, Pass};
use super::preview::{Still, Viewer};
use crate::state::BoardState;

/// Time between two states.
const STATE_EVERY: Duration = Duration::from_millis(500);
/// Time between two looks whether who was let in may still look.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// What separates two pictures.
pub(super) const BOUNDARY: &str = "hone-picture";

/// Which pictures of the preview are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum View {
    /// As the camera delivered it.
    Before,
    /// As the outputs got it.
    #[default]
    After,
    /// Both, one after the other.
    Pair,
}

/// The receiving end of a channel, as a body.
struct Pieces(mpsc::Receiver<Bytes>);

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|piece| piece.map(Ok))
    }
}

/// A body of what `produce` sends. It ends with `produce`; `produce` ends when nobody reads any more, or `pass` does not let
/// in any longer.
pub(super) fn body<F>(
    access: &Arc<Access>,
    pass: Pass,
    produce: impl FnOnce(mpsc::Sender<Bytes>) -> F,
) -> Body
where
    F: Future<Output = Option<()>> + Send + 'static,
{
    // One piece waits; whoever is slower than that gets the newest of what came meanwhile.
    let (send, receive) = mpsc::channel(1);
    let gone = send.clone();
    let producer = produce(send);
    let access = access.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = producer => {}
            () = gone.closed() => {}
            () = revoked(&access, pass) => {}
        }
    });
    Body::from_stream(Pieces(receive))
}

/// Ends when `pass` does not let in any longer.
async fn revoked(access: &Access, pass: Pass) {
    while access.stands(pass) {
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// Sends `viewer` the newest pictures as parts of multipart/x-mixed-replace.
pub(super) async fn pictures(
    mut viewer: Viewer,
    view: View,
    send: mpsc::Sender<Bytes>,
) -> Option<()> {
    loop {
        viewer.newest.changed().await.ok()?;
        let still = viewer.newest.borrow_and_update().clone();
        let Some(still) = still else { continue };
        send.send(parts(&still, view)).await.ok()?;
    }
}

fn parts(still: &Still, view: View) -> Bytes {
    let mut all = Vec::new();
    for (name, picture, wanted) in [
        ("before", &still.before, view != View::After),
        ("after", &still.after, view != View::Before),
    ] {
        if wanted {
            let head = format!(
                "--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\
                 X-Hone-Frame: {}\r\nX-Hone-View: {name}\r\n\r\n",
                picture.len(),
                still.number
            );
            all.extend_from_slice(head.as_bytes());
            all.extend_from_slice(picture);
            all.extend_from_slice(b"\r\n");
        }
    }
    all.into()
}

/// Sends the board's state twice a second and its log as it grows, as server-sent events.
pub(super) async fn events(
    board: Arc<BoardState>,
    seat: OwnedSemaphorePermit,
    send: mpsc::Sender<Bytes>,
) -> Option<()> {
    let _seat = seat;
    let mut clock = tokio::time::interval(STATE_EVERY);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut seen = 0;
    loop {
        clock.tick().await;
        let mut text = String::new();
        for line in board.journal().lines(seen) {
            seen = line.number;
            text += &format!(
                "event: log\ndata: {}\n\n",
                serde_json::to_string(&line).ok()?
            );
        }
        let state = serde_json::to_string(&board.snapshot()).ok()?;
        text += &format!("event: state\ndata: {state}\n\n");
        send.send(text.into()).await.ok()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Tokens;

    #[test]
    fn a_stream_ends_with_the_token_that_opened_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut tokens = Tokens::default();
        let token = tokens.create(folder.path(), "phone").unwrap();
        tokens.write(folder.path()).unwrap();
        let access = Arc::new(Access::new(folder.path()));
        access.check(&token, [10, 0, 0, 7].into()).unwrap();
        let cookie = access.log_in(&token).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let open = |pass| {
                let body = body(&access, pass, |send| async move {
                    let _send = send;
                    std::future::pending::<Option<()>>().await
                });
                tokio::spawn(axum::body::to_bytes(body, 1024))
            };
            let streams = [open(Pass::token(&token)), open(Pass::login(&cookie))];
            tokio::time::sleep(ASK_AGAIN * 2).await;
            assert!(streams.iter().all(|stream| !stream.is_finished()));
            assert!(tokens.revoke("phone"));
            tokens.write(folder.path()).unwrap();
            for stream in streams {
                let ended = tokio::time::timeout(ASK_AGAIN * 20, stream).await;
                assert!(ended.is_ok(), "it goes on");
            }
        });
    }
}
