//! The hosts where a store may be, and which of them suits: they are asked, all at once.
//!
//! Owns what is asked, and which answer suits what a store is for. Where the hosts come from is in
//! `url.rs`; when they are asked again is in `place.rs`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row, raw_sql};
use tokio::time::timeout;

use crate::fault::Fault;

/// How long a host is waited for that is asked what it is, unless told otherwise.
pub(crate) const ANSWER: Duration = Duration::from_secs(2);

/// What a store is for, and so on which of its hosts it may be; the words of a URL are libpq's, as in
/// `target_session_attrs=standby`.
///
/// One that is not [to write to](Self::ReadWrite) is for reading, and refuses to write whatever
/// host it is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// `read-write`: to write to, on the host that takes writes.
    #[default]
    ReadWrite,
    /// `any`: to read from whichever host answers first.
    Any,
    /// `read-only`: to read from a host that only reads, a standby or another.
    ReadOnly,
    /// `standby`: to read from a standby.
    Standby,
    /// `prefer-standby`: to read from a standby, or from another host where no standby answers.
    PreferStandby,
}

impl Target {
    pub(crate) const WORDS: &str =
        "`read-write`, `any`, `read-only`, `standby` or `prefer-standby`";

    /// Whether a store for this writes.
    pub(crate) const fn writes(self) -> bool {
        matches!(self, Self::ReadWrite)
    }

    /// Whether a host in this role suits, and only where no other answers better.
    fn suits(self, role: Role) -> Option<Fit> {
        match (self, role) {
            (Self::ReadWrite, Role::Primary)
            | (Self::Any, _)
            | (Self::ReadOnly, Role::ReadOnly | Role::Standby)
            | (Self::Standby | Self::PreferStandby, Role::Standby) => Some(Fit::Well),
            (Self::PreferStandby, _) => Some(Fit::Otherwise),
            _ => None,
        }
    }

    /// Refuses a connection to a host that has come to be another one than was looked for.
    pub(crate) async fn check(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let role = Role::of(connection).await?;
        match self.suits(role) {
            Some(_) => Ok(()),
            None => Err(sqlx::Error::Configuration(format!("the host {role}").into())),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Well,
    Otherwise,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadWrite => "read-write",
            Self::Any => "any",
            Self::ReadOnly => "read-only",
            Self::Standby => "standby",
            Self::PreferStandby => "prefer-standby",
        })
    }
}

impl FromStr for Target {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let all = [Self::ReadWrite, Self::Any, Self::ReadOnly, Self::Standby, Self::PreferStandby];
        all.into_iter().find(|target| target.to_string() == word).ok_or(())
    }
}

/// What a server is to whoever connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It would take writes, but our sessions only read: `default_transaction_read_only` is on.
    ReadOnly,
    /// It follows a primary.
    Standby,
}

impl Role {
    /// Without preparing anything, for a pooler may stand in between.
    async fn of(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let ask = "SELECT pg_catalog.pg_is_in_recovery(),
            pg_catalog.current_setting('transaction_read_only') = 'on'";
        let row = raw_sql(ask).fetch_one(connection).await?;
        Ok(Self::told(row.try_get(0)?, row.try_get(1)?))
    }

    pub(crate) const fn told(is_standby: bool, only_reads: bool) -> Self {
        match (is_standby, only_reads) {
            (true, _) => Self::Standby,
            (false, true) => Self::ReadOnly,
            (false, false) => Self::Primary,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "takes writes",
            Self::ReadOnly => "only reads, for default_transaction_read_only is on",
            Self::Standby => "is a standby",
        })
    }
}

/// A host that was asked what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// Its name and port, as in `db.example:5432`, or the folder of its socket.
    pub host: String,
    /// What it is, or why it did not say.
    pub role: Result<Role, String>,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.role {
            Ok(role) => write!(f, "`{}` {role}", self.host),
            Err(reason) => write!(f, "`{}` did not answer: {reason}", self.host),
        }
    }
}

/// The name of a host; nothing else of what leads there, for that holds a password.
pub(crate) fn name(host: &PgConnectOptions) -> String {
    match host.get_socket() {
        Some(folder) => format!("{}:{}", folder.display(), host.get_port()),
        None => format!("{}:{}", host.get_host(), host.get_port()),
    }
}

/// The hosts that a store may be on, and what for.
#[derive(Clone)]
pub(crate) struct Hosts {
    pub(crate) each: Vec<PgConnectOptions>,
    pub(crate) target: Target,
}

impl Hosts {
    /// The host that suits and is the first to say so, or what each of them said. A store for reading
    /// that is at one of them is to stay while that suits: another may be as good and answer sooner, and
    /// to go there would end the calls under way. Of two that take writes it is not known which is cut
    /// off, so a store to write to is not held where its calls hang.
    pub(crate) async fn find(
        &self,
        at: Option<&str>,
        patience: Duration,
    ) -> Result<&PgConnectOptions, Fault> {
        let mut otherwise = None;
        if let Some(host) = self.each.iter().find(|host| at == Some(&name(host)))
            && !self.target.writes()
        {
            match self.fit(&ask(host, patience).await) {
                Some(Fit::Well) => return Ok(host),
                Some(Fit::Otherwise) => otherwise = Some(host),
                None => {}
            }
        }
        let mut answers = Vec::new();
        let mut asking = self.asking(patience);
        while let Some((number, asked)) = asking.next().await {
            match (self.fit(&asked), self.each.get(number)) {
                (Some(Fit::Well), Some(host)) => return Ok(host),
                (Some(Fit::Otherwise), host) => otherwise = otherwise.or(host),
                _ => {}
            }
            answers.push((number, asked));
        }
        otherwise.ok_or_else(|| Fault::NoHost { target: self.target, hosts: in_order(answers) })
    }

    fn fit(&self, asked: &Asked) -> Option<Fit> {
        asked.role.as_ref().ok().and_then(|role| self.target.suits(*role))
    }

    /// What each of them says.
    pub(crate) async fn ask(&self) -> Vec<Asked> {
        in_order(self.asking(ANSWER).collect().await)
    }

    fn asking(&self, patience: Duration) -> FuturesUnordered<impl Future<Output = (usize, Asked)>> {
        let ask = |(number, host)| async move { (number, ask(host, patience).await) };
        self.each.iter().enumerate().map(ask).collect()
    }
}

fn in_order(mut answers: Vec<(usize, Asked)>) -> Vec<Asked> {
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, asked)| asked).collect()
}

async fn ask(host: &PgConnectOptions, patience: Duration) -> Asked {
    let asking = async {
        let mut connection = PgConnection::connect_with(host).await?;
        let role = Role::of(&mut connection).await?;
        drop(connection.close().await);
        Ok(role)
    };
    let role = match timeout(patience, asking).await {
        Ok(answer) => answer.map_err(|error| reason(&error)),
        Err(_) => Err(format!("not within {} s", patience.as_secs())),
    };
    Asked { host: name(host), role }
}

fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(said) => said.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_of_a_host_says_whether_it_suits() {
        use Fit::{Otherwise, Well};
        use Target::{Any, PreferStandby, ReadOnly, ReadWrite, Standby};
        for (target, primary, read_only, standby) in [
            (ReadWrite, Some(Well), None, None),
            (Any, Some(Well), Some(Well), Some(Well)),
            (ReadOnly, None, Some(Well), Some(Well)),
            (Standby, None, None, Some(Well)),
            (PreferStandby, Some(Otherwise), Some(Otherwise), Some(Well)),
        ] {
            assert_eq!(target.suits(Role::Primary), primary, "{target}");
            assert_eq!(target.suits(Role::ReadOnly), read_only, "{target}");
            assert_eq!(target.suits(Role::Standby), standby, "{target}");
            assert_eq!(target.to_string().parse(), Ok(target));
            assert!(Target::WORDS.contains(&format!("`{target}`")));
        }
        assert_eq!("primary".parse::<Target>(), Err(()));
    }
}
