//! `deploy/asyncapi.yaml` says what the types say.

use std::collections::BTreeSet;

use app::{
    ports::Role,
    wire::{GENESIS, Position},
};
use serde_json::{Value, json};
use server::bus::{
    LogHead,
    head::SignedHead,
    kafka::{HEADERS, LOG_HEAD, NODE, PersonMessage, REPLAY_REQUESTED, ReplayRequested, SOURCE, TRACE, Topics},
};

fn document() -> Value {
    serde_yaml_ng::from_str(include_str!("../../../deploy/asyncapi.yaml")).unwrap()
}

fn texts(list: &Value) -> BTreeSet<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_description_names_the_topics_and_headers_that_there_are() {
    let document = document();
    let names = Topics::new("daybook");
    let addresses: BTreeSet<_> = document["channels"]
        .as_object()
        .unwrap()
        .values()
        .map(|channel| channel["address"].as_str().unwrap())
        .collect();
    assert_eq!(addresses, BTreeSet::from([&*names.events, &*names.control, &*names.replay, &*names.people]));
    let schemas = &document["components"]["schemas"];
    let headers = &schemas["eventHeaders"];
    assert_eq!(texts(&headers["required"]), BTreeSet::from(HEADERS));
    let known = HEADERS.into_iter().chain([TRACE]).collect();
    assert_eq!(keys(&headers["properties"]), known);
    assert_eq!(headers["properties"]["ce_source"]["const"], SOURCE);
    let again = &document["components"]["messages"]["replayedEvent"]["headers"]["allOf"][1];
    assert_eq!(texts(&again["required"]), BTreeSet::from([NODE]));
    let kinds = &schemas["controlHeaders"]["properties"]["ce_type"]["enum"];
    assert_eq!(texts(kinds), BTreeSet::from([LOG_HEAD, REPLAY_REQUESTED]));
}

#[test]
fn the_description_has_the_fields_that_the_types_have() {
    let document = document();
    let head = LogHead { position: Position(1), hash: GENESIS, at: 1 };
    let head = SignedHead { head, key_id: String::new(), signature: String::new() };
    let asked = ReplayRequested { node: String::new(), from: Position(1), to: Position(2) };
    let person = PersonMessage { name: String::new(), email: String::new(), roles: vec![Role::Customer, Role::Admin] };
    let person = json!(person);
    for (name, value) in [("logHead", json!(head)), ("replayRequested", json!(asked)), ("person", person.clone())] {
        let schema = &document["components"]["schemas"][name];
        assert_eq!(keys(&value), texts(&schema["required"]), "{name}");
        assert_eq!(keys(&value), keys(&schema["properties"]), "{name}");
        for (field, value) in value.as_object().unwrap() {
            let expected = match value {
                Value::String(_) => "string",
                Value::Number(_) => "integer",
                Value::Array(_) => "array",
                other => panic!("{other}"),
            };
            assert_eq!(schema["properties"][field]["type"], expected, "{name}.{field}");
        }
    }
    let roles = &document["components"]["schemas"]["person"]["properties"]["roles"]["items"]["enum"];
    assert_eq!(texts(roles), texts(&person["roles"]));
}

#[test]
fn every_reference_in_the_description_leads_somewhere() {
    fn references<'d>(value: &'d Value, found: &mut Vec<&'d str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 10);
    for reference in found {
        let path = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(path).is_some(), "{reference}");
    }
}
