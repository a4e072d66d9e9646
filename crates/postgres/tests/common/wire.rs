//! A wire to the server that loses an answer, or falls silent.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::Result;

/// Stands between a store and the server. Where it hears the word that is to be lost, it waits for
/// the answer, which the server gives when all is done, swallows it and hangs up; or says nothing more,
/// as a connection does of which a router has lost the trace.
pub(crate) struct Wire {
    pub(crate) url: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    HangsUp,
    IsSilent,
}

impl Wire {
    pub(crate) async fn to(url: &str, word: &'static str, then: Then) -> Result<Self> {
        let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
        let folder = parameters.strip_prefix("host=").ok_or("the server is not at a socket")?;
        let socket = format!("{folder}/.s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Self::join(client, socket.clone(), word, then));
            }
        });
        let place = place.replace("@localhost/", &format!("@127.0.0.1:{port}/"));
        Ok(Self { url: format!("{place}?sslmode=disable") })
    }

    async fn join(
        mut client: TcpStream,
        socket: String,
        word: &str,
        then: Then,
    ) -> std::io::Result<()> {
        let mut server = UnixStream::connect(&socket).await?;
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        let mut lost = false;
        loop {
            tokio::select! {
                count = client.read_buf(&mut asked) => {
                    if count? == 0 {
                        return Ok(());
                    }
                    lost = lost || asked.windows(word.len()).any(|asked| asked == word.as_bytes());
                    server.write_all(&asked).await?;
                    asked.clear();
                }
                count = server.read_buf(&mut answered) => {
                    if count? == 0 || lost && then == Then::HangsUp {
                        return Ok(());
                    }
                    if !lost {
                        client.write_all(&answered).await?;
                    }
                    answered.clear();
                }
            }
        }
    }
}
