//! `daybook export`: all events, in order, on stdout. Beside a running server too.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::{
    config::DataDir,
    db_url::DbUrl,
    write::{
        database::WriteDb,
        log_file::{self, LogFileError},
    },
};

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// ndjson keeps every byte and comes back in with `daybook import`; csv is for programs that read tables
    #[arg(long, env = "DAYBOOK_EXPORT_FORMAT", default_value = "ndjson", value_name = "FORMAT")]
    pub format: ExportFormat,
    /// Where to write; stdout if absent
    #[arg(long, short, env = "DAYBOOK_EXPORT_OUTPUT", value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The write database, sqlite:PATH or postgres://…; the data folder's if absent
    #[arg(long, env = "DAYBOOK_WRITE_DB", hide_env_values = true, value_name = "URL")]
    pub write_db: Option<DbUrl>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Ndjson,
    Csv,
}

/// Writes the log as it stands when it begins.
pub async fn run(data: &DataDir, args: ExportArgs) -> anyhow::Result<ExitCode> {
    let to: Box<dyn Write + Send> = match &args.output {
        Some(file) => Box::new(File::create(file).with_context(|| format!("writing {}", file.display()))?),
        None => Box::new(io::stdout()),
    };
    let to = BufWriter::with_capacity(1 << 16, to);
    let db = WriteDb::open(&data.write_url(args.write_db.as_ref()), None).await?;
    let written = match args.format {
        ExportFormat::Ndjson => log_file::write_ndjson(&*db.store, to).await,
        ExportFormat::Csv => log_file::write_csv(&*db.store, to).await,
    };
    db.close().await?;
    match written {
        Ok(written) => {
            let head = written.head;
            eprintln!("{} events, up to position {}, hash {}", written.events, head.position, head.hash);
            Ok(ExitCode::SUCCESS)
        }
        // Whoever reads has had enough, as `head` does.
        Err(LogFileError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.into()),
    }
}
