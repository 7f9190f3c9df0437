//! A conversation with whoever has a repository: what a reference points to, and the objects that lead there.

use std::fmt;
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gix::ObjectId;
use gix::odb::pack;
use gix::progress::Discard;
use gix::protocol::fetch::negotiate::{Action, Round, one_round::State};
use gix::protocol::fetch::{Arguments, Context, Negotiate, Options, Response, Shallow, Tags};
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::Service;
use gix::protocol::transport::client::blocking_io::Transport;
use gix::protocol::{Handshake, LsRefsCommand};

use super::limits::{Bounds, Limits, Said, Watch};
use super::location::{Account, Location};
use super::measure::measure;
use super::names::shown;
use super::repository::causes;
use super::{Follow, Repository, Settings, http, ssh};
use crate::files;
use crate::outbound::{Endpoint, UrlOptions};
use crate::policies::Pace;

/// The largest file with a token.
const LARGEST_TOKEN: u64 = 16 * 1024;

/// A host, and how it is asked.
#[derive(Debug)]
pub(crate) struct Remote {
    way: Way,
    /// Read again for each conversation.
    token: Option<PathBuf>,
    bounds: Bounds,
    pace: Arc<Pace>,
}

#[derive(Debug)]
enum Way {
    Http(String, Arc<Endpoint>),
    Ssh(Account, ssh::Keys),
}

impl Remote {
    /// # Errors
    /// When the location is none that is asked, or the settings do not suit it.
    pub(crate) fn new(location: &Location, settings: &Settings, bounds: Bounds, pace: Arc<Pace>) -> Result<Self, String> {
        let way = match location {
            Location::Http(url) => {
                let private = settings.dangerous_private_address;
                let options = UrlOptions { ca_file: settings.ca_file.clone(), dangerous_private_address: private };
                Way::Http(url.clone(), Arc::new(Endpoint::new(url, &options).map_err(|error| error.to_string())?))
            }
            Location::Ssh(account) => {
                let keys = ssh::Keys::new(settings.ssh_key.as_deref(), settings.known_hosts.as_deref())?;
                Way::Ssh(account.clone(), keys)
            }
            Location::File(_) => return Err("a repository on this machine is opened, not asked".to_owned()),
        };
        Ok(Self { way, token: settings.token.clone(), bounds, pace })
    }

    /// Asks whether anybody is there.
    pub(super) fn connect(&self) -> Result<Session, String> {
        let limits = Arc::new(Limits::new(self.bounds, Arc::clone(&self.pace)));
        let failed = |error: std::io::Error| format!("the host cannot be asked: {error}");
        let (transport, program) = match &self.way {
            Way::Http(url, endpoint) => {
                let transport = http::connect(url, Arc::clone(endpoint), self.authorization()?, Arc::clone(&limits)).map_err(failed)?;
                (transport, None)
            }
            Way::Ssh(account, keys) => {
                let (transport, running, said) = ssh::connect(account, keys, &limits).map_err(failed)?;
                (transport, Some((running, said)))
            }
        };
        let end = program.as_ref().map(|(running, _)| running.clone());
        let bounds = self.bounds;
        let mut session = Session { transport, program, limits, bounds, handshake: Handshake::default(), watch: None };
        let watch = Watch::start(&session.limits, move || end.iter().for_each(ssh::Running::end)).map_err(failed)?;
        session.watch = Some(watch);
        session.greet()?;
        Ok(session)
    }

    /// What the token file holds: `user:password`, or a bearer token.
    fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let Some(path) = &self.token else { return Ok(None) };
        let failed = |why: &str| format!("cannot use the token of `{}`: {why}", path.display());
        let token = files::read(path, LARGEST_TOKEN).map_err(|error| failed(&error.to_string()))?;
        let token = std::str::from_utf8(&token).map_err(|_| failed("it is not text"))?.trim();
        let value = if token.contains(':') { format!("Basic {}", STANDARD.encode(token)) } else { format!("Bearer {token}") };
        let mut value = HeaderValue::try_from(value).map_err(|_| failed("it holds what no header may hold"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// A conversation.
pub(super) struct Session {
    transport: Box<dyn Transport>,
    /// Where a program speaks for us.
    program: Option<(ssh::Running, Said)>,
    limits: Arc<Limits>,
    bounds: Bounds,
    handshake: Handshake,
    watch: Option<Watch>,
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.watch.take());
        self.program.iter().for_each(|(running, _)| running.end());
    }
}

impl Session {
    fn greet(&mut self) -> Result<(), String> {
        // Nobody is asked for a password, neither a person nor a program.
        let nobody = |_| Err(gix::Error::from_error(std::io::Error::other("the host asks for a password")));
        let answer = gix::protocol::handshake(&mut self.transport, Service::UploadPack, nobody, Vec::new(), &mut Discard);
        self.handshake = answer.map_err(|error| self.told(&error))?;
        Ok(())
    }

    /// What a reference points to.
    pub(super) fn tip(&mut self, follow: &Follow) -> Result<ObjectId, String> {
        let name = match (follow, follow.reference()) {
            (Follow::Commit(id), _) => return ObjectId::from_hex(id.as_bytes()).map_err(|_| "a commit is named by its full id".to_owned()),
            (_, Some(name)) => name,
            (_, None) => return Err("nothing is followed".to_owned()),
        };
        let listed = match self.handshake.refs.take() {
            Some(listed) => listed,
            None => {
                let mut prefixes = RefPrefixes::new();
                prefixes.extend([name.as_str().into()]);
                let agent = ("agent", Some(gix::protocol::agent("countersign")));
                let command = LsRefsCommand::new(Some(prefixes), &self.handshake.capabilities, agent);
                command.invoke_blocking(&mut self.transport, &mut Discard, false).map_err(|error| self.told(&error))?
            }
        };
        let found = listed.into_iter().find_map(|reference| match reference {
            Ref::Peeled { full_ref_name, tag, .. } if full_ref_name == name => Some(tag),
            Ref::Direct { full_ref_name, object } if full_ref_name == name => Some(object),
            Ref::Symbolic { full_ref_name, tag, object, .. } if full_ref_name == name => Some(tag.unwrap_or(object)),
            _ => None,
        });
        found.ok_or_else(|| format!("the repository has no `{}`", shown(&name)))
    }

    /// Fetches what leads to an object, but not what leads to one that is there. What arrives counts only when all of it is what it says.
    pub(super) fn fetch(&mut self, want: ObjectId, have: Option<ObjectId>, into: &Repository) -> Result<(), String> {
        self.limits.allow(self.bounds.received);
        let (store, bounds) = (&into.0.objects, self.bounds);
        let most = bounds.objects;
        let folder = store.store_ref().path().join("pack");
        let mut received = false;
        let take = |pack: &mut dyn BufRead, progress: &mut dyn gix::DynNestedProgress, over: &std::sync::atomic::AtomicBool| {
            let mut head = [0; 12];
            pack.read_exact(&mut head).map_err(gix::Error::from_error)?;
            let count = head.last_chunk().map_or(u32::MAX, |count| u32::from_be_bytes(*count));
            if count > most {
                return Err(gix::Error::from_error(std::io::Error::other(format!("the host sends more than {most} objects"))));
            }
            // It is received whole, into a file without a name, and measured before anybody resolves it.
            let mut whole = tempfile::tempfile_in(&folder).map_err(gix::Error::from_error)?;
            std::io::copy(&mut std::io::Cursor::new(head).chain(pack), &mut whole).map_err(gix::Error::from_error)?;
            let mut pack = BufReader::new(whole);
            pack.seek(SeekFrom::Start(head.len() as u64)).map_err(gix::Error::from_error)?;
            measure(&mut pack, count, &bounds, over, |id| into.0.has_object(id)).map_err(gix::Error::from_error)?;
            pack.rewind().map_err(gix::Error::from_error)?;
            let largest = Some(usize::try_from(bounds.object).unwrap_or(usize::MAX));
            let options = pack::bundle::write::Options { thread_limit: Some(1), alloc_limit_bytes: largest, ..Default::default() };
            let written = pack::Bundle::write_to_directory(&mut pack, Some(&folder), progress, over, Some(store), want.kind(), options)?;
            if let Some(keep) = written.keep_path {
                std::fs::remove_file(keep).map_err(gix::Error::from_error)?;
            }
            received = true;
            Ok(true)
        };
        let limits = Arc::clone(&self.limits);
        let agent = ("agent", Some(gix::protocol::agent("countersign")));
        let context =
            Context { handshake: &mut self.handshake, transport: &mut self.transport, user_agent: agent, trace_packetlines: false };
        let shallow = into.0.git_dir().join("shallow");
        let options = Options { shallow_file: shallow, shallow: &Shallow::NoChange, tags: Tags::None, reject_shallow_remote: true };
        let fetched = gix::protocol::fetch(&mut Question { want, have }, take, Discard, &limits.over, context, options);
        fetched.map_err(|error| self.told(&error))?;
        if received { Ok(()) } else { Err("the host sends nothing".to_owned()) }
    }

    /// What went wrong, and what the program on the way said of it. The conversation is over.
    fn told(&mut self, error: &gix::Error) -> String {
        let late = self.limits.remaining().err();
        let said = self.program.as_mut().map(|(running, said)| {
            running.end();
            said.line()
        });
        match (late, said.filter(|said| !said.is_empty())) {
            (Some(late), _) => format!("the repository cannot be fetched: {late}"),
            (None, Some(said)) => format!("the repository cannot be fetched: {} ({said})", causes(error)),
            (None, None) => format!("the repository cannot be fetched: {}", causes(error)),
        }
    }
}

/// One object is wanted, and at most one is there: there is nothing to negotiate.
struct Question {
    want: ObjectId,
    have: Option<ObjectId>,
}

impl Negotiate for Question {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<Action> {
        Ok(Action::MustNegotiate { remote_ref_target_known: Vec::new() })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _known: &[bool]) -> bool {
        arguments.want(self.want);
        true
    }

    fn one_round(&mut self, _state: &mut State, arguments: &mut Arguments, _previous: Option<&Response>) -> gix::Result<(Round, bool)> {
        self.have.iter().for_each(|have| arguments.have(have));
        let sent = usize::from(self.have.is_some());
        let round = Round { haves_sent: sent, in_vain: 0, haves_to_send: sent, previous_response_had_at_least_one_in_common: false };
        Ok((round, true))
    }
}
