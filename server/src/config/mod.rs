//! The command line: every value as a flag and as `DAYBOOK_…`, each with a safe default.

#[cfg(feature = "command")]
mod operator;
mod serve;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::health::HealthArgs;
#[cfg(feature = "command")]
use crate::cli::{
    backup::{BackupArgs, RestoreArgs},
    copy::{CopyArgs, MigrateArgs},
    export::ExportArgs,
};

#[cfg(feature = "command")]
pub use self::operator::{AnchorArgs, TokenCommand, UserArgs, UserCommand, VerifyArgs};
pub use self::serve::{BusUrl, RoleName, ServeArgs};
pub use crate::data_dir::DataDir;

/// A money ledger whose truth is the log of what happened.
#[derive(Debug, Parser)]
#[command(name = "daybook", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// What every subcommand takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Folder with the log, the views and the signing key; made if absent, readable by its owner only
    #[arg(long, global = true, env = "DAYBOOK_DATA_DIR", default_value = "./data", value_name = "FOLDER")]
    pub data_dir: PathBuf,
    /// How log lines on stderr look
    #[arg(long, global = true, env = "DAYBOOK_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// What is logged: a level, or levels by module as in `info,server::web=debug`
    #[arg(long, global = true, env = "DAYBOOK_LOG", default_value = "info,sqlx=warn", value_name = "FILTER")]
    pub log: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(Box<ServeArgs>),
    /// Ask a server whether it can serve; fails if not
    Health(HealthArgs),
    /// Walk the whole log and check every hash; also against an anchor
    #[cfg(feature = "command")]
    Verify(VerifyArgs),
    /// Print a signed anchor: where the log stands, to be kept elsewhere
    #[cfg(feature = "command")]
    Anchor(AnchorArgs),
    /// Move a ledger to another database, hashes and all, or go on where that was interrupted
    #[cfg(feature = "command")]
    Copy(CopyArgs),
    /// Write the ledger of this moment with its signing key into a folder, beside a running server too
    #[cfg(feature = "command")]
    Backup(BackupArgs),
    /// Put a backup into an empty place and verify it; interrupted, it can be run again
    #[cfg(feature = "command")]
    Restore(RestoreArgs),
    /// Take in from the topics what an older backup lacks
    #[cfg(all(feature = "command", feature = "query"))]
    Recover(crate::cli::recover::RecoverArgs),
    /// Make the tables of a write database, or bring them up to date, as its owner
    #[cfg(feature = "command")]
    Migrate(MigrateArgs),
    /// Build views anew from this node's copy of the log, beside the live ones, and switch
    #[cfg(all(feature = "command", feature = "query"))]
    Rebuild(RebuildArgs),
    /// Print all views in one canonical form, to compare
    #[cfg(feature = "query")]
    Dump(crate::cli::dump::DumpArgs),
    /// Bring in bank transactions (CSV) or a whole log (NDJSON)
    #[cfg(all(feature = "command", feature = "query"))]
    Import(Box<crate::cli::import::ImportArgs>),
    /// Write all events, in order
    #[cfg(feature = "command")]
    Export(ExportArgs),
    /// Fill an empty data folder with two customers, an admin, and a few months of history
    #[cfg(feature = "command")]
    Demo,
    /// People who may sign in
    #[cfg(feature = "command")]
    User(UserArgs),
    /// Session tokens
    #[cfg(feature = "command")]
    #[command(subcommand)]
    Token(TokenCommand),
}

#[cfg(all(feature = "command", feature = "query"))]
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// Only this one; all if absent
    #[arg(long, env = "DAYBOOK_PROJECTION", value_name = "NAME")]
    pub projection: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_value_has_an_environment_variable() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        every_value_has_an_environment_variable(&command);
    }

    fn every_value_has_an_environment_variable(command: &clap::Command) {
        let of_clap = |id: &str| ["help", "version", "subcommand"].contains(&id);
        for argument in command.get_arguments().filter(|argument| !of_clap(argument.get_id().as_str())) {
            let name = argument.get_env().unwrap_or_else(|| panic!("{argument} has no environment variable"));
            assert!(name.to_string_lossy().starts_with("DAYBOOK_"), "{argument}");
            assert!(argument.get_help().is_some(), "{argument} says nothing");
        }
        command.get_subcommands().for_each(every_value_has_an_environment_variable);
    }

    /// A value as README's tables have it: flag, environment variable, default.
    type Row = (String, String, String);

    fn values_of(command: &clap::Command, rows: &mut std::collections::BTreeSet<Row>) {
        for argument in command.get_arguments().filter(|argument| argument.get_env().is_some()) {
            let flag = argument.get_long().map_or_else(
                || argument.get_value_names().expect("a value's name")[0].to_string(),
                |long| format!("--{long}"),
            );
            let env = argument.get_env().expect("filtered").to_string_lossy().into_owned();
            let off = matches!(argument.get_action(), clap::ArgAction::SetTrue);
            let default = argument.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
            let default = if off { "off".to_owned() } else { default.unwrap_or_default() };
            let default = if argument.is_required_set() { "needed".to_owned() } else { default };
            rows.insert((flag, env, default));
        }
        command.get_subcommands().for_each(|command| values_of(command, rows));
    }

    #[test]
    fn readme_names_every_value_of_the_command_line_and_no_other() {
        let mut command = Cli::command();
        command.build();
        let mut values = std::collections::BTreeSet::new();
        values_of(&command, &mut values);
        let readme = include_str!("../../../README.md");
        let cells = |line: &str| -> Vec<String> {
            line.trim_matches('|').split('|').map(|cell| cell.trim_matches([' ', '`']).to_owned()).collect()
        };
        let described: std::collections::BTreeSet<Row> = readme
            .lines()
            .filter(|line| line.starts_with('|') && line.contains("`DAYBOOK_"))
            .map(|line| match cells(line).as_slice() {
                [flag, env, default, about] if !about.is_empty() => (flag.clone(), env.clone(), default.clone()),
                other => panic!("not a row of four: {other:?}"),
            })
            .collect();
        let missing: Vec<_> = values.difference(&described).collect();
        let wrong: Vec<_> = described.difference(&values).collect();
        assert!(missing.is_empty() && wrong.is_empty(), "missing in README: {missing:#?}\nnot in --help: {wrong:#?}");
    }
}
