//! What can go wrong before a person, in words that they can act on: one value for the page, for the script and for the status.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{Language, headers};

/// Why a person does not get what they came for. It says what to do now, never what the policy found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// The link or ceremony is too old.
    Expired,
    /// The link, code or ceremony was spent before.
    Used,
    /// The person has no passkey that counts here.
    NotEnrolled,
    /// The proof did not hold.
    Refused,
    /// The session is locked after too many demands or failures.
    Locked,
    /// Too many requests; later they will be served.
    TooMany,
    /// We could not.
    Unavailable,
    /// The ceremony belongs to another browser.
    WrongBrowser,
    /// The one-time code is not one of ours.
    CodeInvalid,
    /// Not for this person, passkey or no.
    NotAllowed,
    /// There is no such page.
    NotFound,
}

impl Trouble {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Expired,
        Self::Used,
        Self::NotEnrolled,
        Self::Refused,
        Self::Locked,
        Self::TooMany,
        Self::Unavailable,
        Self::WrongBrowser,
        Self::CodeInvalid,
        Self::NotAllowed,
        Self::NotFound,
    ];

    /// Its name on the wire and in the page's messages.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Used => "used",
            Self::NotEnrolled => "not_enrolled",
            Self::Refused => "refused",
            Self::Locked => "locked",
            Self::TooMany => "too_many",
            Self::Unavailable => "unavailable",
            Self::WrongBrowser => "wrong_browser",
            Self::CodeInvalid => "code_invalid",
            Self::NotAllowed => "not_allowed",
            Self::NotFound => "not_found",
        }
    }

    /// The status of its page and of its JSON answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Expired | Self::Used => StatusCode::GONE,
            Self::NotEnrolled | Self::Refused | Self::Locked | Self::WrongBrowser | Self::CodeInvalid | Self::NotAllowed => {
                StatusCode::FORBIDDEN
            }
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotFound => StatusCode::NOT_FOUND,
        }
    }

    /// A few words, for a heading.
    #[must_use]
    pub const fn title(self, language: Language) -> &'static str {
        match self {
            Self::Expired => language.say("This page has expired", "此页面已过期"),
            Self::Used => language.say("This link was used before", "此链接已被使用"),
            Self::NotEnrolled => language.say("No passkey here yet", "尚无通行密钥"),
            Self::Refused => language.say("That did not work", "验证未通过"),
            Self::Locked => language.say("Locked for your safety", "为保护您，已锁定"),
            Self::TooMany => language.say("Too many attempts", "尝试次数过多"),
            Self::Unavailable => language.say("Not available right now", "暂时无法使用"),
            Self::WrongBrowser => language.say("This link belongs to another browser", "此链接属于另一个浏览器"),
            Self::CodeInvalid => language.say("This code is not valid", "此代码无效"),
            Self::NotAllowed => language.say("Not allowed", "不允许访问"),
            Self::NotFound => language.say("There is no such page", "没有此页面"),
        }
    }

    /// What it means and what to do now.
    #[must_use]
    pub const fn text(self, language: Language) -> &'static str {
        match self {
            Self::Expired => language.say(
                "The time for this step is over. Go back to the page that you wanted to open, and start again.",
                "此步骤的时间已过。请回到您要打开的页面，重新开始。",
            ),
            Self::Used => language.say(
                "A link or a code works only once. Go back to the page that you wanted to open, and start again.",
                "链接或代码只能使用一次。请回到您要打开的页面，重新开始。",
            ),
            Self::NotEnrolled => language.say(
                "There is no passkey for you here. Ask your administrator for a one-time code to create one.",
                "您在这里还没有通行密钥。请向管理员索取一次性代码来创建。",
            ),
            Self::Refused => language.say(
                "The passkey was not accepted. Try again with the passkey that you created for this organization.",
                "通行密钥未被接受。请使用您为本组织创建的通行密钥重试。",
            ),
            Self::Locked => language.say(
                "There were too many failed attempts, so your session is locked. Ask your administrator for help.",
                "失败次数过多，此会话已被锁定。请联系管理员。",
            ),
            Self::TooMany => language.say("Wait a minute, then try again.", "请等待一分钟后再试。"),
            Self::Unavailable => language.say(
                "We cannot check this right now, and until we can, access stays closed. Try again in a minute.",
                "目前无法完成验证，在此之前不会放行。请一分钟后再试。",
            ),
            Self::WrongBrowser => language.say(
                "Only the browser that asked can go on with this link. If somebody sent it to you, do not use your passkey: tell your administrator.",
                "只有发起请求的浏览器才能继续使用此链接。如果是别人发给您的，请不要使用您的通行密钥，并告知管理员。",
            ),
            Self::CodeInvalid => language.say(
                "Check the code and type it again. It works once and for a short time; if it stays invalid, ask your administrator for a new one.",
                "请检查代码并重新输入。代码只能使用一次且有效时间很短；如果仍然无效，请向管理员索取新的代码。",
            ),
            Self::NotAllowed => language.say(
                "You may not do this, and a passkey would not change it. If you need it for your work, ask your administrator.",
                "您无权执行此操作，使用通行密钥也不会改变。如果工作需要，请联系管理员。",
            ),
            Self::NotFound => language.say("Check the address, or go back.", "请检查地址，或返回上一页。"),
        }
    }

    /// Whether to try again on the same page can help.
    pub(super) const fn may_pass(self) -> bool {
        matches!(self, Self::Refused | Self::TooMany | Self::Unavailable | Self::CodeInvalid)
    }

    /// The JSON answer that the scripts read: `{"trouble": "<code>"}`, with `attempts_left` where attempts are counted.
    #[must_use]
    pub fn answer(self, attempts_left: Option<u32>) -> Response {
        let body = Answer { trouble: self.code(), attempts_left };
        let mut response = (self.status(), Json(body)).into_response();
        headers::of_answer(response.headers_mut());
        response
    }
}

#[derive(Serialize)]
struct Answer {
    trouble: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts_left: Option<u32>,
}

#[cfg(test)]
mod tests;
