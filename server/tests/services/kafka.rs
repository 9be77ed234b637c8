//! Real brokers, started by the project's own script: one for the whole test process, or some for a test that breaks them.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

pub struct Cluster {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// Where they ask who comes, and let them do only what was allowed; empty unless [`Self::guarded`].
    pub guards: String,
    folder: PathBuf,
    /// Ends when its standard input does, so that no broker outlives the tests however they end.
    process: Option<Child>,
}

pub fn script() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.build/kafka.sh"))
}

impl Cluster {
    /// Where `DAYBOOK_TEST_KAFKA` says, else one that is started now.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("DAYBOOK_TEST_KAFKA") {
            Ok(brokers) => Self { brokers, guards: String::new(), folder: PathBuf::new(), process: None },
            Err(_) => Self::own(1),
        })
    }

    /// Brokers that a test may end.
    pub fn own(count: usize) -> Self {
        Self::run(&["--brokers", &count.to_string()])
    }

    /// One with access control: the script says for whom.
    pub fn guarded() -> Self {
        Self::run(&["--guarded"])
    }

    fn run(options: &[&str]) -> Self {
        let mut process =
            script().arg("run").args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut export = |name: &str| {
            let line = said.next().expect("brokers that start: see above why not").unwrap();
            line.strip_prefix(&format!("export {name}=")).unwrap_or_else(|| panic!("{line}")).to_owned()
        };
        let brokers = export("DAYBOOK_TEST_KAFKA");
        let folder = export("DAYBOOK_TEST_KAFKA_DIR").into();
        let guarded = options.contains(&"--guarded");
        let guards = if guarded { export("DAYBOOK_TEST_KAFKA_GUARDED") } else { String::new() };
        Self { brokers, guards, folder, process: Some(process) }
    }

    /// kill, down, up, freeze or thaw.
    pub fn broker(&self, number: usize, action: &str) {
        let done = script().arg("broker").arg(&self.folder).args([&number.to_string(), action]).status().unwrap();
        assert!(done.success(), "{action} {number}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().unwrap();
        }
    }
}
