//! Artifacts in OCI registries: the one layer of a manifest.
//!
//! Owns: the walk from a reference to bytes. Never: unpacks, runs, or believes a registry about a digest.
//!
//! ```text
//! manifest ──(an index: the entry for this machine)──> manifest ──> its one layer
//!    └── 401: a token, or name and password, once; then again
//! ```

mod challenge;
mod credentials;
pub(crate) mod manifest;

use std::path::PathBuf;
use std::sync::Arc;

use nex_types::Digest;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode, Url};

pub(crate) use self::challenge::{Challenge, read_token, token_url};
use self::manifest::{Found, Layer};
use crate::FetchError;
use crate::image::{Image, Version};
use crate::intake::Intake;
use crate::remote::{Remote, Schemes, check_status, is_loopback_name, read_whole, stream};

const LARGEST_MANIFEST: usize = 4 << 20;
const LARGEST_TOKEN: usize = 256 * 1024;

/// Registries, with the credentials that the node's user has for them.
#[derive(Debug, Clone)]
pub(crate) struct Registries {
    remote: Remote,
    docker_config: Option<Arc<PathBuf>>,
}

/// One pull.
struct Pull<'a> {
    registries: &'a Registries,
    image: &'a Image,
    base: Url,
    schemes: Schemes,
    authorization: Option<HeaderValue>,
}

impl Registries {
    pub(crate) fn new(remote: Remote, docker_config: Option<PathBuf>) -> Self {
        Self { remote, docker_config: docker_config.map(Arc::new) }
    }

    /// Streams the layer, and returns what its bytes must hash to.
    pub(crate) async fn pull(
        &self,
        image: &Image,
        wanted: Option<Digest>,
        limit: u64,
        intake: &mut Intake,
    ) -> Result<Digest, FetchError> {
        let mut pull = self.begin(image).await?;
        let Layer { digest, size } = pull.layer().await?;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != digest) {
            return Err(FetchError::DigestMismatch { wanted, actual: digest });
        }
        let what = format!("the layer of {}", pull.name());
        if size > limit {
            return Err(FetchError::TooLarge { what, limit });
        }
        let response = pull.get(&format!("blobs/{digest}"), None).await?;
        check_status(&response, &what)?;
        stream(response, &what, limit, intake).await?;
        Ok(digest)
    }

    async fn begin<'a>(&'a self, image: &'a Image) -> Result<Pull<'a>, FetchError> {
        let base = |scheme: &str| {
            Url::parse(&format!("{scheme}://{}/v2/", image.registry)).map_err(|_| {
                FetchError::Unsupported { reason: format!("{} is not a host", image.registry) }
            })
        };
        let pull =
            |base, schemes| Pull { registries: self, image, base, schemes, authorization: None };
        let host = image.host();
        if !is_loopback_name(host) || !self.remote.allows_by_name(host) {
            return Ok(pull(base("https")?, Schemes::HttpsOnly));
        }
        // A registry of this machine has a certificate or not: any answer over https tells.
        let https = base("https")?;
        match self.remote.get(https.clone(), HeaderMap::new(), Schemes::HttpsOnly).await {
            Ok(_) => Ok(pull(https, Schemes::OrHttpToLoopback)),
            Err(_) => Ok(pull(base("http")?, Schemes::OrHttpToLoopback)),
        }
    }
}

impl Pull<'_> {
    fn name(&self) -> String {
        let Image { registry, repository, version } = self.image;
        format!("{registry}/{repository} {version}")
    }

    async fn layer(&mut self) -> Result<Layer, FetchError> {
        let image = self.image;
        let digest = match &image.version {
            Version::Manifest(digest) => Some(*digest),
            Version::Tag(_) => None,
        };
        let mut found = self.manifest(&image.version.to_string(), digest).await?;
        if let Found::Index(entry) = found {
            found = self.manifest(&entry.to_string(), Some(entry)).await?;
        }
        match found {
            Found::Layer(layer) => Ok(layer),
            Found::Index(_) => Err(FetchError::Unsupported {
                reason: format!("{} is an index of indexes", self.name()),
            }),
        }
    }

    async fn manifest(
        &mut self,
        reference: &str,
        digest: Option<Digest>,
    ) -> Result<Found, FetchError> {
        let path = format!("manifests/{reference}");
        let response = self.get(&path, Some(manifest::ACCEPT)).await?;
        check_status(&response, &self.name())?;
        let bytes = read_whole(response, "the manifest", LARGEST_MANIFEST).await?;
        if digest.is_some_and(|digest| digest != Digest::of(&bytes)) {
            let reason = format!("{} sent another manifest than {reference}", self.image.registry);
            return Err(FetchError::Unavailable { reason });
        }
        manifest::read(&bytes).map_err(|refusal| {
            let reason = format!("{}: {refusal}", self.name());
            FetchError::Unsupported { reason }
        })
    }

    /// Asks; when credentials are wanted, gets them and asks again.
    async fn get(&mut self, path: &str, accept: Option<&str>) -> Result<Response, FetchError> {
        let response = self.ask(path, accept).await?;
        if response.status() != StatusCode::UNAUTHORIZED || self.authorization.is_some() {
            return self.check_permission(response);
        }
        let challenge = Challenge::of(response.headers());
        drop(response);
        self.authorization = self.authorize(challenge).await?;
        let response = self.ask(path, accept).await?;
        self.check_permission(response)
    }

    async fn ask(&self, path: &str, accept: Option<&str>) -> Result<Response, FetchError> {
        let target = format!("{}/{path}", self.image.repository);
        let url = self.base.join(&target).map_err(|_| FetchError::Unsupported {
            reason: format!("{} cannot be asked for", self.name()),
        })?;
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept.and_then(|accept| HeaderValue::from_str(accept).ok()) {
            headers.insert(header::ACCEPT, accept);
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        self.registries.remote.get(url, headers, self.schemes).await
    }

    fn check_permission(&self, response: Response) -> Result<Response, FetchError> {
        if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(self.not_permitted(response.status().as_u16()));
        }
        Ok(response)
    }

    fn not_permitted(&self, status: u16) -> FetchError {
        let Image { registry, repository, .. } = self.image;
        let reason = format!(
            "registry {registry} answers {status} for {repository}: it is not there, or the node's user \
             has to log in (docker login {registry})"
        );
        FetchError::Unavailable { reason }
    }

    async fn authorize(
        &self,
        challenge: Option<Challenge>,
    ) -> Result<Option<HeaderValue>, FetchError> {
        let registry = &self.image.registry;
        let file = self.registries.docker_config.clone();
        let basic = credentials::find(file, registry).await?;
        match challenge {
            None => Err(FetchError::Unavailable {
                reason: format!(
                    "registry {registry} wants credentials of a kind that Nex does not know"
                ),
            }),
            Some(Challenge::Basic) => match basic {
                Some(basic) => Ok(Some(basic)),
                None => Err(self.not_permitted(401)),
            },
            Some(Challenge::Bearer { realm, service, scope }) => {
                let scope =
                    scope.unwrap_or_else(|| format!("repository:{}:pull", self.image.repository));
                let url = token_url(&realm, service.as_deref(), &scope);
                let url = url.ok_or_else(|| FetchError::Unavailable {
                    reason: format!("registry {registry} names no place to get a token"),
                })?;
                self.token(url, basic).await.map(Some)
            }
        }
    }

    async fn token(&self, url: Url, basic: Option<HeaderValue>) -> Result<HeaderValue, FetchError> {
        let headers = basic.map(|basic| (header::AUTHORIZATION, basic)).into_iter().collect();
        let what = format!("a token for registry {}", self.image.registry);
        let response = self.registries.remote.get(url, headers, self.schemes).await?;
        let response = self.check_permission(response)?;
        check_status(&response, &what)?;
        let bytes = read_whole(response, "the token", LARGEST_TOKEN).await?;
        read_token(&bytes).ok_or_else(|| FetchError::Unavailable {
            reason: format!("{what} is not in what its server answers"),
        })
    }
}
