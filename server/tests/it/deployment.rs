//! What people deploy: the files for containers and for the proxy say nothing that the program or each other does not know.

use std::collections::BTreeSet;

use clap::CommandFactory as _;
use serde_yaml_ng::Value;
use server::config::Cli;

const COMPOSE: &str = include_str!("../../../compose.yaml");
const CONTAINERFILE: &str = include_str!("../../../Containerfile");
const NGINX: &str = include_str!("../../../deploy/nginx.conf");
const PROXY_OF_CONTAINERS: &str = include_str!("../../../deploy/compose/proxy.sh");
const PROXY_OF_SPLIT: &str = include_str!("../../../.build/proxy.sh");

fn variables(command: &clap::Command, known: &mut BTreeSet<String>) {
    let names = command.get_arguments().filter_map(clap::Arg::get_env);
    known.extend(names.map(|name| name.to_string_lossy().into_owned()));
    command.get_subcommands().for_each(|command| variables(command, known));
}

#[test]
fn containers_are_told_nothing_that_the_command_line_does_not_know() {
    let mut known = BTreeSet::new();
    variables(&Cli::command(), &mut known);
    let words =
        [COMPOSE, CONTAINERFILE].into_iter().flat_map(|text| text.split(|c: char| c != '_' && !c.is_alphanumeric()));
    let told: BTreeSet<String> = words.filter(|word| word.starts_with("DAYBOOK_")).map(str::to_owned).collect();
    assert!(told.len() > 5 && told.is_subset(&known), "{:?}", told.difference(&known));
}

#[test]
fn every_container_has_its_own_data_and_each_name_is_declared() {
    let mut file: Value = serde_yaml_ng::from_str(COMPOSE).unwrap();
    // What is merged into a service has something merged into it.
    for _ in 0..2 {
        file.apply_merge().unwrap();
    }
    let services = file["services"].as_mapping().unwrap();
    let declared = |name: &str| file["volumes"].as_mapping().unwrap().contains_key(name);
    let mut data = BTreeSet::new();
    for (name, service) in services {
        let name = name.as_str().unwrap();
        for volume in service["volumes"].as_sequence().into_iter().flatten() {
            let (from, to) = volume.as_str().unwrap().split_once(':').unwrap();
            let local = from.strip_prefix("./").map(|path| format!("{}/../{path}", env!("CARGO_MANIFEST_DIR")));
            assert!(
                local.map_or_else(|| declared(from), |path| std::path::Path::new(&path).is_file()),
                "{name}: {from}"
            );
            assert!(to != "/data" || data.insert(from.to_owned()), "{name}: a node shares no data with another");
        }
        let needed = match &service["depends_on"] {
            Value::Mapping(needed) => needed.keys().cloned().collect(),
            Value::Sequence(needed) => needed.clone(),
            _ => Vec::new(),
        };
        assert!(needed.iter().all(|other| services.contains_key(other)), "{name} needs {needed:?}");
        // The image of Daybook says itself whether it is healthy.
        let ours = service["image"] == "daybook";
        assert!(ours || service["healthcheck"].is_mapping(), "nobody knows whether {name} is healthy");
        assert!(!ours || service["pull_policy"] == "never", "{name} is built here");
    }
    assert_eq!(data.len(), 4, "two nodes of each kind: {data:?}");
    assert!(CONTAINERFILE.contains("\nHEALTHCHECK ") && CONTAINERFILE.contains("\nUSER 65532"));
}

#[test]
fn what_the_proxies_replace_in_the_configuration_is_there_once() {
    for marked in ["server 127.0.0.1:3001", "server 127.0.0.1:3002", "listen 127.0.0.1:8080;", "http {"] {
        assert_eq!(NGINX.matches(marked).count(), 1, "{marked}");
        for script in [PROXY_OF_CONTAINERS, PROXY_OF_SPLIT] {
            assert!(script.contains(marked), "{marked}");
        }
    }
}
