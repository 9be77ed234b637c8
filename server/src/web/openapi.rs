//! The API described in OpenAPI 3.1, made from the handlers and types themselves.

use std::sync::LazyLock;

use app::wire::{self, Command};
use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::{
        Content, HttpMethod, KnownFormat, ObjectBuilder, OpenApi as Described, Ref, RefOr, Required, ResponseBuilder,
        SchemaFormat,
        path::{OperationBuilder, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::{SchemaType, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{
    health,
    rest::{accounts, events, session, status, users},
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Daybook",
        description = "A ledger that is a log of events. Amounts are integers in minor units of a currency, times are \
            microseconds since 1970, ids are UUIDs that a client may choose."
    ),
    paths(
        session::sign_in, session::sign_out, session::renew, session::keep,
        accounts::accounts, accounts::account, accounts::statement, accounts::transfers, accounts::transfer,
        accounts::trial_balance, events::events, events::stream, status::status, status::retry,
        users::users,
        health::alive, health::ready,
    ),
    components(schemas(
        ProblemDetails,
        wire::OpenAccount, wire::DepositMoney, wire::WithdrawMoney, wire::RequestTransfer, wire::FreezeAccount,
        wire::UnfreezeAccount, wire::ChangeOverdraftLimit, wire::ReverseEntry, wire::CloseAccount, wire::SkipEvent,
        wire::Receipt,
    )),
    modifiers(&BearerToken, &Commands, &Problems),
    security(("bearer" = [])),
)]
struct Api;

/// RFC 9457. A refusal has the numbers that show it as members of their own, such as `requested` and `available`.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what `Problem` writes")]
struct ProblemDetails {
    /// Stable, for programs: `insufficient_funds`.
    code: String,
    title: String,
    status: u16,
    /// For people.
    detail: String,
    /// Of a malformed request: the culprit.
    field: Option<String>,
}

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, api: &mut Described) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The token of POST /api/v1/session"))
            .build();
        api.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// One path for each command, though one route takes them all: so each has its own fields.
struct Commands;

impl Modify for Commands {
    fn modify(&self, api: &mut Described) {
        let parameter = |name: &str, description: &str, schema: ObjectBuilder| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some(description))
                .schema(Some(schema))
        };
        let uuid = || {
            let format = Some(SchemaFormat::KnownFormat(KnownFormat::Uuid));
            ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).format(format)
        };
        let version = || ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer));
        for name in Command::NAMES {
            let json = |schema: &str| Content::new(Some(Ref::from_schema_name(schema)));
            let body = RequestBodyBuilder::new().content("application/json", json(name)).required(Some(Required::True));
            let done =
                ResponseBuilder::new().description("Stored, durably").content("application/json", json("Receipt"));
            let mut operation = OperationBuilder::new()
                .tag("Commands")
                .operation_id(Some(*name))
                .summary(schema_description(api, name))
                .parameter(parameter("Idempotency-Key", "The command's id: the same again does nothing again", uuid()))
                .parameter(parameter("If-Match", "Refuse unless the stream is at this version", version()))
                .request_body(Some(body.build()))
                .response("200", done);
            for (status, description) in [
                ("409", "This id was used for another command"),
                ("412", "The stream is at another version: `actual`"),
                ("422", "A rule refused: `code` and its numbers"),
            ] {
                operation = operation.response(status, ResponseBuilder::new().description(description));
            }
            let path = format!("/api/v1/commands/{name}");
            api.paths.add_path_operation(path, vec![HttpMethod::Post], operation);
        }
    }
}

fn schema_description(api: &Described, name: &str) -> Option<String> {
    match api.components.as_ref()?.schemas.get(name)? {
        RefOr::T(utoipa::openapi::Schema::Object(object)) => object.description.clone(),
        RefOr::T(_) | RefOr::Ref(_) => None,
    }
}

/// Whatever goes wrong looks the same everywhere.
struct Problems;

impl Modify for Problems {
    fn modify(&self, api: &mut Described) {
        for item in api.paths.paths.values_mut() {
            let operations = [(&mut item.get, false), (&mut item.post, true), (&mut item.delete, true)];
            let operations =
                operations.into_iter().filter_map(|(operation, writes)| Some((operation.as_mut()?, writes)));
            for (operation, writes) in operations {
                let open = operation.security.as_ref().is_some_and(|needed| {
                    needed.iter().all(|one| *one == utoipa::openapi::SecurityRequirement::default())
                });
                let responses = &mut operation.responses.responses;
                let mut may_answer = |status: &str, text: &str| {
                    responses.entry(status.to_owned()).or_insert_with(|| described(text));
                };
                may_answer("400", "Malformed; `field` names the culprit");
                may_answer("429", "Too many requests: see Retry-After");
                may_answer(
                    "503",
                    "Not available right now: try again after Retry-After, a command under the same id, which `command_id` names",
                );
                if !open {
                    may_answer("401", "Not signed in");
                    may_answer("404", "Not there, or not yours to see");
                }
                if writes {
                    may_answer("403", "Sent by a page of another site");
                }
                if operation.request_body.is_some() {
                    may_answer("413", "The body is too large");
                    may_answer("415", "The body is not said to be JSON");
                }
                for (status, response) in responses.iter_mut() {
                    if let (RefOr::T(response), true) = (response, status.starts_with(['4', '5'])) {
                        let problem = Content::new(Some(Ref::from_schema_name("ProblemDetails")));
                        response.content.insert("application/problem+json".to_owned(), problem);
                    }
                }
            }
        }
    }
}

fn described(text: &str) -> RefOr<utoipa::openapi::Response> {
    ResponseBuilder::new().description(text).build().into()
}

/// The description, made once.
pub fn api() -> &'static Described {
    static API: LazyLock<Described> = LazyLock::new(Api::openapi);
    &API
}

/// `GET /api/openapi.json`
pub async fn json() -> Response {
    static JSON: LazyLock<String> =
        LazyLock::new(|| serde_json::to_string(api()).expect("an OpenAPI description holds nothing that JSON cannot"));
    ([(header::CONTENT_TYPE, "application/json")], JSON.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::{super::rest, *};

    #[test]
    fn every_route_of_the_api_is_described_and_nothing_else() {
        let json = serde_json::to_value(api()).expect("JSON");
        let mut described: Vec<String> = Vec::new();
        for (path, item) in json["paths"].as_object().expect("paths") {
            for method in item.as_object().expect("a path").keys() {
                described.push(format!("{method} {path}"));
            }
        }
        // Beside the API, for whoever watches the process.
        let mut routed: Vec<String> = vec!["get /healthz".to_owned(), "get /readyz".to_owned()];
        for (method, path, _) in rest::routes() {
            if path.ends_with("{command}") {
                routed.extend(Command::NAMES.iter().map(|name| format!("{method} /api/v1/commands/{name}")));
            } else {
                routed.push(format!("{method} {path}"));
            }
        }
        described.sort();
        routed.sort();
        assert_eq!(described, routed);
    }

    #[test]
    fn an_account_has_a_status_of_its_own() {
        let json = serde_json::to_value(api()).expect("JSON");
        let reference = json["components"]["schemas"]["AccountView"]["properties"]["status"]["$ref"].as_str();
        let status = json.pointer(reference.expect("a reference").trim_start_matches('#')).expect("a schema");
        assert_eq!(status["enum"], serde_json::json!(["absent", "open", "frozen", "closed"]));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let text = serde_json::to_string(api()).expect("JSON");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["openapi"], "3.1.0");
        for reference in text.split("\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(json.pointer(reference).is_some(), "{reference}");
        }
    }
}
