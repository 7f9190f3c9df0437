//! What the section `[policy]` means: one source, and no key of another.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::settings::policy::PolicySettings;
use super::super::text;
use super::Reader;
use super::opa::bare;
use crate::bundle::{Origin, Remote, Trust};
use crate::git::{self, Follow};
use crate::outbound::{Endpoint, UrlOptions};
use crate::policies::webhook::WebhookSecret;
use crate::policies::{Bundled, Place, Settings};

/// A folder tells of its changes; where it cannot, it is looked at as often.
const FOLDER_POLL: u64 = 2;
const REMOTE_POLL: u64 = 30;
const LONGEST_REF: usize = 200;

impl Reader<'_> {
    pub(super) fn policy(&mut self, mut settings: PolicySettings, has_control: bool) -> Option<Settings> {
        let given = [settings.path.is_some(), settings.git.is_some(), settings.bundle.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            self.problem("policy", "exactly one of `path`, `git` and `bundle` says where policies come from");
            return None;
        }
        self.keys_of_others(&settings);
        let poll_s = settings.poll_s.unwrap_or(if settings.path.is_some() { FOLDER_POLL } else { REMOTE_POLL });
        if !(1..=86_400).contains(&poll_s) {
            self.problem("policy.poll_s", "it is not a number from 1 to 86400");
        }
        let webhook = settings.webhook_secret_file.take().and_then(|file| self.webhook(&file, has_control));
        let package = std::mem::take(&mut settings.package);
        let rollout = self.rollout(settings.rollout.take());
        let place = match (settings.path.take(), settings.git.take(), settings.bundle.take()) {
            (Some(path), ..) => Some(Place::Folder(self.folder.join(path))),
            (_, Some(url), _) => self.git(url, settings).map(Place::Git),
            (_, _, Some(bundle)) => self.bundled(&bundle, settings).map(Place::Bundle),
            _ => None,
        };
        Some(Settings { package, place: place?, poll: Duration::from_secs(poll_s), webhook, rollout })
    }

    /// A key that its source would not heed may be one that somebody relies on.
    fn keys_of_others(&mut self, settings: &PolicySettings) {
        let (is_git, is_bundle, is_folder) = (settings.git.is_some(), settings.bundle.is_some(), settings.path.is_some());
        let keys = [
            ("branch", settings.branch.is_some(), is_git),
            ("tag", settings.tag.is_some(), is_git),
            ("commit", settings.commit.is_some(), is_git),
            ("within", settings.within.is_some(), is_git),
            ("allowed_signers", settings.allowed_signers.is_some(), is_git),
            ("ssh_key_file", settings.ssh_key_file.is_some(), is_git),
            ("known_hosts_file", settings.known_hosts_file.is_some(), is_git),
            ("token_file", settings.token_file.is_some(), !is_folder),
            ("ca_file", settings.ca_file.is_some(), !is_folder),
            ("dangerous_private_address", settings.dangerous_private_address, !is_folder),
            ("key", !settings.key.is_empty(), is_bundle),
            ("webhook_secret_file", settings.webhook_secret_file.is_some(), !is_folder),
        ];
        for (key, ..) in keys.into_iter().filter(|(_, is_given, is_heeded)| *is_given && !*is_heeded) {
            let source = if is_git {
                "git"
            } else if is_bundle {
                "bundle"
            } else {
                "path"
            };
            self.problem(&format!("policy.{key}"), &format!("policies come from `{source}`, which does not heed it"));
        }
    }

    fn webhook(&mut self, file: &std::path::Path, has_control: bool) -> Option<WebhookSecret> {
        const KEY: &str = "policy.webhook_secret_file";
        if !has_control {
            self.problem(KEY, "without `listen.control` nobody could call the webhook");
        }
        let secret = self.secret(KEY, file)?;
        self.noted(KEY, WebhookSecret::new(&secret))
    }

    fn git(&mut self, url: String, settings: PolicySettings) -> Option<git::Settings> {
        let (scheme, _) = url.split_once("://").unwrap_or(("", ""));
        let is_http = matches!(scheme, "http" | "https");
        match scheme {
            "http" | "https" => self.asked("policy.git", &url, &settings).map(drop),
            "ssh" => self.ssh(&url, &settings),
            "file" => Some(()),
            _ => {
                self.problem(
                    "policy.git",
                    "it does not begin with `https://`, `ssh://` or `file:///`; `git@host:path` is written `ssh://git@host/path`",
                );
                None
            }
        }?;
        let of_http = [("token_file", settings.token_file.is_some()), ("ca_file", settings.ca_file.is_some())];
        let of_ssh = [("ssh_key_file", settings.ssh_key_file.is_some()), ("known_hosts_file", settings.known_hosts_file.is_some())];
        let unheeded = of_http.into_iter().filter(|_| !is_http).chain(of_ssh.into_iter().filter(|_| scheme != "ssh"));
        for (key, _) in unheeded.filter(|(_, is_given)| *is_given) {
            self.problem(&format!("policy.{key}"), &format!("`{scheme}` does not heed it"));
        }
        let follow = self.follow(settings.branch, settings.tag, settings.commit);
        let within = self.within(settings.within.unwrap_or_default());
        let allowed_signers = self.in_folder(settings.allowed_signers);
        match &allowed_signers {
            Some(file) => drop(self.noted("policy.allowed_signers", text(file))),
            None => self.dangers.push("`policy.git` without `policy.allowed_signers` takes what anybody puts there, unsigned".to_owned()),
        }
        Some(git::Settings {
            url,
            follow: follow?,
            within: within?,
            token: self.in_folder(settings.token_file),
            ca_file: self.in_folder(settings.ca_file),
            dangerous_private_address: settings.dangerous_private_address,
            ssh_key: self.in_folder(settings.ssh_key_file),
            known_hosts: self.in_folder(settings.known_hosts_file),
            allowed_signers,
        })
    }

    /// The endpoint of a URL, which says what is wrong with it.
    fn asked(&mut self, key: &str, url: &str, settings: &PolicySettings) -> Option<Endpoint> {
        if settings.dangerous_private_address {
            self.dangers.push(format!("`dangerous_private_address` lets `{key}` lead to a private network"));
        }
        let ca_file = self.in_folder(settings.ca_file.clone());
        let endpoint = Endpoint::new(url, &UrlOptions { ca_file, dangerous_private_address: settings.dangerous_private_address });
        self.noted(key, endpoint)
    }

    fn ssh(&mut self, url: &str, settings: &PolicySettings) -> Option<()> {
        let authority = url.strip_prefix("ssh://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        // What begins with a dash would be an option of a program.
        if host.is_empty() || host.starts_with('-') || user.starts_with('-') || user.contains(':') {
            self.problem("policy.git", "it is not `ssh://USER@HOST/PATH`, without a password");
            return None;
        }
        for (key, file) in [("ssh_key_file", &settings.ssh_key_file), ("known_hosts_file", &settings.known_hosts_file)] {
            let key = format!("policy.{key}");
            match file {
                Some(file) => drop(self.noted(&key, text(&self.folder.join(file)))),
                None => {
                    self.problem(&key, "`ssh` needs it: who this server is, and which host it believes, are no matter of a user's folder")
                }
            }
        }
        Some(())
    }

    fn follow(&mut self, branch: Option<String>, tag: Option<String>, commit: Option<String>) -> Option<Follow> {
        let follow = match (branch, tag, commit) {
            (None, None, None) => Follow::Branch("main".to_owned()),
            (Some(branch), None, None) => Follow::Branch(branch),
            (None, Some(tag), None) => Follow::Tag(tag),
            (None, None, Some(commit)) => Follow::Commit(commit),
            _ => {
                self.problem("policy", "at most one of `branch`, `tag` and `commit` says what is followed");
                return None;
            }
        };
        let (key, fits) = match &follow {
            Follow::Branch(name) => ("policy.branch", is_reference(name)),
            Follow::Tag(name) => ("policy.tag", is_reference(name)),
            Follow::Commit(id) => ("policy.commit", id.len() == 40 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))),
        };
        if !fits {
            let wanted =
                if key == "policy.commit" { "the 40 hexadecimal digits of a commit, in small letters" } else { "a name that git allows" };
            self.problem(key, &format!("it is not {wanted}"));
        }
        fits.then_some(follow)
    }

    fn within(&mut self, folder: String) -> Option<String> {
        let plain = |step: &str| !matches!(step, "" | "." | "..") && !step.contains(['\\', '\0']);
        let bare = folder.trim_end_matches('/');
        if !bare.is_empty() && !bare.split('/').all(plain) {
            self.problem("policy.within", "it is not a path within the tree, such as `policy` or `access/policy`");
            return None;
        }
        Some(bare.to_owned())
    }

    fn bundled(&mut self, at: &str, settings: PolicySettings) -> Option<Bundled> {
        let (origin, shown) = if at.starts_with("http://") || at.starts_with("https://") {
            let endpoint = self.asked("policy.bundle", at, &settings)?;
            (Origin::Url(Box::new(Remote { endpoint, token: self.in_folder(settings.token_file) })), bare(at))
        } else {
            for (key, is_given) in [("token_file", settings.token_file.is_some()), ("ca_file", settings.ca_file.is_some())] {
                if is_given {
                    self.problem(&format!("policy.{key}"), "a bundle on this machine does not heed it");
                }
            }
            let file = self.folder.join(PathBuf::from(at.strip_prefix("file://").unwrap_or(at)));
            let shown = file.display().to_string();
            (Origin::File(file), shown)
        };
        let keys: std::collections::BTreeMap<_, _> = self.each("policy.key", settings.key, Self::bundle_key).into_iter().collect();
        if keys.is_empty() && matches!(origin, Origin::Url(_)) {
            self.dangers.push("`policy.bundle` without a `[[policy.key]]` takes what anybody puts there, unsigned".to_owned());
        }
        Some(Bundled { origin, trust: Trust { keys: Arc::new(keys), ..Trust::default() }, shown })
    }
}

/// What git allows as the name of a branch or a tag (git-check-ref-format(1)).
fn is_reference(name: &str) -> bool {
    let step = |step: &str| !step.is_empty() && !step.starts_with('.') && !step.ends_with(".lock");
    let odd = |character: char| character.is_control() || " ~^:?*[\\".contains(character);
    name.len() <= LONGEST_REF
        && name.split('/').all(step)
        && !name.contains(odd)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.starts_with('-')
        && !name.ends_with('.')
        && name != "@"
}
