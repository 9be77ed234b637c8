//! `daybook user`: who may sign in. Beside a running server too, which notices within a second.

use std::{io::BufRead as _, process::ExitCode};

use anyhow::{Context as _, bail};
use app::{ports::Role, wire::Actor};

use crate::{
    config::{DataDir, UserArgs, UserCommand},
    write::{
        database::WriteDb,
        identity::{HashedPassword, NewPerson, Passwords, People, PersonRow},
        writer::{Clock as _, SystemClock},
    },
};

/// Changes or shows the people of this ledger.
pub async fn run(data: &DataDir, args: UserArgs) -> anyhow::Result<ExitCode> {
    let db = WriteDb::open(&data.write_url(args.write_db.as_ref()), None).await?;
    let people = &db.people;
    match args.command {
        UserCommand::Add { email, name, admin, id, password_stdin } => {
            let password = password(password_stdin).await?;
            let roles = if admin { vec![Role::Customer, Role::Admin] } else { vec![Role::Customer] };
            let new = NewPerson { email: email.clone(), name, roles, password: password.hashed };
            let now = SystemClock.now_micros();
            let id = match id {
                Some(id) => {
                    people.add_as(id, new, now, Actor::Operator).await?;
                    id
                }
                None => people.add(new, now).await?,
            };
            say!("Added {email} as {id}.");
            if let Some(made) = password.made {
                say!("Password, shown only now: {made}");
            }
        }
        UserCommand::List => {
            for row in people.list().await? {
                let roles = if row.person.roles.contains(&Role::Admin) { "admin" } else { "customer" };
                let disabled = if row.disabled { " disabled" } else { "" };
                say!("{} {} {roles}{disabled} {:?}", row.person.id, row.person.email, row.person.name);
            }
        }
        UserCommand::Password { email, password_stdin } => {
            let row = find(people, &email).await?;
            let password = password(password_stdin).await?;
            people.set_password(row.person.id, &password.hashed, Actor::Operator).await?;
            say!("{email} has a new password; all their sessions end.");
            if let Some(made) = password.made {
                say!("Password, shown only now: {made}");
            }
        }
        UserCommand::Disable { email } => {
            people.disable(find(people, &email).await?.person.id, Actor::Operator).await?;
            say!("{email} cannot sign in any more; all their sessions end.");
        }
        UserCommand::Forget { email } => {
            let id = find(people, &email).await?.person.id;
            people.forget(id, Actor::Operator).await?;
            say!("{email} is forgotten; the events of {id} stay.");
        }
    }
    db.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// Who has this e-mail.
pub(super) async fn find(people: &People, email: &str) -> anyhow::Result<PersonRow> {
    match people.by_email(email).await? {
        Some(row) => Ok(row),
        None => bail!("nobody here has the e-mail {email}"),
    }
}

struct Password {
    hashed: HashedPassword,
    /// To be shown, if it was made here.
    made: Option<String>,
}

async fn password(from_stdin: bool) -> anyhow::Result<Password> {
    let made = if from_stdin { None } else { Some(made_up()?) };
    let text = if let Some(made) = &made {
        made.clone()
    } else {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).context("reading the password from stdin")?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    Ok(Password { hashed: Passwords::new()?.hash(&text).await?, made })
}

/// 100 random bits in groups that can be read aloud: no letter looks like another.
pub(super) fn made_up() -> anyhow::Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0; 20];
    getrandom::fill(&mut random)?;
    let letters: Vec<char> = random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    Ok(letters.chunks(5).map(String::from_iter).collect::<Vec<_>>().join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_password_is_long_and_never_the_same() {
        let (one, other) = (made_up().expect("a password"), made_up().expect("a password"));
        assert!(one.len() == 23 && one != other, "{one} {other}");
    }
}
