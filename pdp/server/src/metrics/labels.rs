//! The values that labels may have: fixed lists, so that no caller can make a series.

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

macro_rules! labels {
    ($($(#[$doc:meta])* $label:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $label { $($(#[$value_doc])* $value,)* }

        impl $label {
            /// The value as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$value => $text),* }
            }
        }

        impl EncodeLabelValue for $label {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                self.as_str().encode(encoder)
            }
        }
    )*};
}

labels! {
    /// Through which adapter a decision was asked for.
    Door {
        /// `/authz/nginx`.
        Nginx = "nginx",
        /// `/authz/traefik`.
        Traefik = "traefik",
        /// `/authz/caddy`.
        Caddy = "caddy",
        /// `/authz/haproxy`.
        Haproxy = "haproxy",
        /// `/authz/envoy`.
        Envoy = "envoy",
        /// `/access/v1`.
        Authzen = "authzen",
        /// `envoy.service.auth.v3.Authorization/Check`.
        EnvoyGrpc = "envoy_grpc",
    }

    /// What was told to watches.
    WatchTold {
        /// Leases on something ended.
        Ended = "ended",
        /// Another policy is active.
        Policy = "policy",
        /// Every lease ended.
        Reset = "reset",
        /// A watch was asked to go to another decision point.
        Draining = "draining",
        /// A watch began.
        Hello = "hello",
    }

    /// Which listener.
    ListenerName {
        /// Browsers on the protected hosts and the auth origin.
        Public = "public",
        /// Enforcement points.
        Decision = "decision",
        /// Enforcement points that speak gRPC.
        Grpc = "grpc",
        /// Operators.
        Control = "control",
        /// The platform.
        Operations = "operations",
        /// OPA's clients.
        Opa = "opa",
    }

    /// How a look at the policies ended.
    ReloadOutcome {
        /// A new revision decides.
        Activated = "activated",
        /// The candidate was refused; the last good revision decides.
        Refused = "refused",
    }

    /// What a candidate on trial makes of an answer.
    TrialChange {
        /// The same.
        None = "none",
        /// A deny, of an allow or a step-up.
        NewDeny = "new_deny",
        /// An allow, of a deny or a step-up, or a step-up, of a deny.
        NewAllow = "new_allow",
        /// A step-up, of an allow.
        NewStepUp = "new_step_up",
    }

    /// How a trial ended.
    TrialOutcome {
        /// The candidate became active.
        Activated = "activated",
        /// It is held.
        RolledBack = "rolled_back",
        /// Its source offers it no longer, or another one.
        Withdrawn = "withdrawn",
    }

    /// What became of news of policies.
    WebhookOutcome {
        /// The source is looked at.
        Taken = "taken",
        /// Nobody proved the secret.
        Refused = "refused",
    }

    /// How a fetch of a key set ended.
    FetchOutcome {
        /// The keys are other ones now.
        Changed = "changed",
        /// The same keys as before.
        Unchanged = "unchanged",
        /// No usable answer; the last good keys stay.
        Failed = "failed",
    }

    /// What became of a batch of pointer actions.
    BatchOutcome {
        /// It is in memory.
        Accepted = "accepted",
        /// Malformed, or of nobody.
        Refused = "refused",
        /// More came than browsers send.
        Limited = "limited",
    }

    /// How a page of a search ended.
    SearchOutcome {
        /// Nothing is left.
        Complete = "complete",
        /// The caller was told that there is more.
        Partial = "partial",
        /// It was malformed, or something of ours was not there.
        Refused = "refused",
    }

    /// How far a step-up is.
    StepUpStage {
        /// A ceremony was opened.
        Begun = "begun",
        /// An assertion was checked.
        Asserted = "asserted",
        /// The code was redeemed on the protected host.
        Redeemed = "redeemed",
        /// A credential was enrolled.
        Enrolled = "enrolled",
    }

    /// How a stage of a step-up ended.
    StepUpOutcome {
        /// Done.
        Succeeded = "succeeded",
        /// Refused.
        Failed = "failed",
        /// Given up, or too late.
        Expired = "expired",
    }
}
