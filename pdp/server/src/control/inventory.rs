//! Devices and users as policies see them. What is set here wins over the files of the configuration, entry by entry.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use countersign_pdp_store::{DeviceRecord, RoleRecord, StateEvent};
use countersign_sdk_types::DeviceId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ControlService;
use super::asked::{Body, Line, Named, Page, Question, cut};
use super::guard::Operator;
use super::problem::Problem;
use crate::openapi::Refused;

/// What a device is to be, wholly: what is absent is unknown, and a policy then sees the worse of the two.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetDevice {
    pub(crate) compliant: Option<bool>,
    pub(crate) managed: Option<bool>,
    pub(crate) label: Option<Line>,
}

/// A device of the inventory.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Device {
    #[schema(value_type = String)]
    pub(crate) id: DeviceId,
    pub(crate) compliant: Option<bool>,
    pub(crate) managed: Option<bool>,
    pub(crate) label: Option<String>,
}

/// The inventory.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Devices {
    pub(crate) devices: Vec<Device>,
    pub(crate) cut: bool,
}

/// What a user is to be, wholly.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetUser {
    pub(crate) role: Option<Line>,
    #[schema(max_items = 128)]
    pub(crate) roles: Vec<Line>,
}

/// A user of the directory.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) role: Option<String>,
    pub(crate) roles: Vec<String>,
}

const MOST_ROLES: usize = 128;

impl Device {
    fn of(id: DeviceId, record: DeviceRecord) -> Self {
        Self { id, compliant: record.compliant, managed: record.managed, label: record.label }
    }
}

impl User {
    fn of(name: Line, record: RoleRecord) -> Self {
        Self { name: name.into(), role: record.role, roles: record.roles }
    }
}

/// The devices of the inventory.
#[utoipa::path(
    get,
    path = "/countersign/v1/devices",
    params(Page),
    responses((status = 200, body = Devices, description = "The inventory."), Refused)
)]
pub(super) async fn list_devices(
    State(service): State<Arc<ControlService>>,
    Question(page): Question<Page>,
) -> Result<Json<Devices>, Problem> {
    let (size, tenant) = (page.size()?, service.tenant.clone());
    let (all, cut) = cut(service.read(move |view| view.list_devices(&tenant)).await?, size);
    Ok(Json(Devices { devices: all.into_iter().map(|(id, record)| Device::of(id, record)).collect(), cut }))
}

/// One device.
#[utoipa::path(
    get,
    path = "/countersign/v1/devices/{id}",
    params(("id" = String, Path, description = "The device.", min_length = 1, max_length = 128, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")),
    responses((status = 200, body = Device, description = "The device."), Refused)
)]
pub(super) async fn show_device(State(service): State<Arc<ControlService>>, Named(id): Named<DeviceId>) -> Result<Json<Device>, Problem> {
    let (tenant, asked) = (service.tenant.clone(), id.clone());
    let found = service.read(move |view| view.device(&tenant, &asked)).await?;
    let record = found.ok_or_else(|| Problem::unknown(&format!("device `{id}` is not in the inventory of the store")))?;
    Ok(Json(Device::of(id, record)))
}

/// Says what a device is, wholly: what is absent is unknown.
#[utoipa::path(
    put,
    path = "/countersign/v1/devices/{id}",
    params(("id" = String, Path, description = "The device.", min_length = 1, max_length = 128, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")),
    request_body = SetDevice, responses((status = 200, body = Device, description = "As it is now."), Refused)
)]
pub(super) async fn set_device(
    State(service): State<Arc<ControlService>>,
    Extension(operator): Extension<Operator>,
    Named(device): Named<DeviceId>,
    Body(SetDevice { compliant, managed, label }): Body<SetDevice>,
) -> Result<Json<Device>, Problem> {
    let record = DeviceRecord { compliant, managed, label: label.map(String::from) };
    let (tenant, by, at) = (service.tenant.clone(), operator.by(), service.now());
    let event = StateEvent::DeviceUpserted { tenant, device: device.clone(), record: record.clone(), by, at };
    service.commit(&operator, "set device", device.as_str(), event).await?;
    Ok(Json(Device::of(device, record)))
}

/// One user.
#[utoipa::path(
    get,
    path = "/countersign/v1/users/{name}",
    params(("name" = String, Path, description = "The user.", min_length = 1, max_length = 512, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")),
    responses((status = 200, body = User, description = "The user."), Refused)
)]
pub(super) async fn show_user(State(service): State<Arc<ControlService>>, Named(name): Named<Line>) -> Result<Json<User>, Problem> {
    let (tenant, asked) = (service.tenant.clone(), name.clone());
    let found = service.read(move |view| view.user(&tenant, asked.as_str())).await?;
    let record = found.ok_or_else(|| Problem::unknown(&format!("user `{}` is not in the directory of the store", name.as_str())))?;
    Ok(Json(User::of(name, record)))
}

/// Says what a user is, wholly.
#[utoipa::path(
    put,
    path = "/countersign/v1/users/{name}",
    params(("name" = String, Path, description = "The user.", min_length = 1, max_length = 512, pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$")),
    request_body = SetUser, responses((status = 200, body = User, description = "As it is now."), Refused)
)]
pub(super) async fn set_user(
    State(service): State<Arc<ControlService>>,
    Extension(operator): Extension<Operator>,
    Named(name): Named<Line>,
    Body(SetUser { role, roles }): Body<SetUser>,
) -> Result<Json<User>, Problem> {
    if roles.len() > MOST_ROLES {
        return Err(Problem::malformed("a user has at most 128 roles"));
    }
    let record = RoleRecord { role: role.map(String::from), roles: roles.into_iter().map(String::from).collect() };
    let (tenant, by, at) = (service.tenant.clone(), operator.by(), service.now());
    let event = StateEvent::UserUpserted { tenant, name: name.as_str().to_owned(), record: record.clone(), by, at };
    service.commit(&operator, "set user", name.as_str(), event).await?;
    Ok(Json(User::of(name, record)))
}
