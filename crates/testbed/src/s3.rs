//! An S3 server on a directory: signatures are checked, buckets are folders.
//!
//! It is `s3s-fs` behind one lock for conditional writes, which that checks and carries out in two
//! steps: two callers could both be told that they created an object.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, DeleteObjectInput, DeleteObjectOutput, GetObjectInput,
    GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output,
    PutObjectInput, PutObjectOutput,
};
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::listen;

/// Who may use every server of this program; see [`environment`].
const ACCESS_KEY: &str = "AKIATESTBED";
const SECRET_KEY: &str = "a secret of tests";

/// A running server. It ends when this is dropped.
#[derive(Debug)]
pub struct S3Server {
    /// Its address.
    pub url: String,
    ignores_conditions: Arc<AtomicBool>,
    served: JoinHandle<()>,
}

/// What the clients of a server have to find in their environment, besides its address in
/// `AWS_ENDPOINT`.
pub fn environment() -> [(&'static str, &'static str); 3] {
    [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_ALLOW_HTTP", "true"),
    ]
}

impl S3Server {
    /// Serves the buckets in a directory.
    pub async fn start(directory: &Path) -> Self {
        let ignores_conditions = Arc::default();
        let objects = Buckets {
            inner: FileSystem::new(directory).unwrap(),
            ignores_conditions: Arc::clone(&ignores_conditions),
            one_at_a_time: Mutex::default(),
        };
        let mut builder = S3ServiceBuilder::new(objects);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let (listener, url) = listen().await;
        let served = tokio::spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                let service = service.clone();
                tokio::spawn(async move {
                    let serving = Builder::new(TokioExecutor::new());
                    // A client may go whenever it likes.
                    let _ = serving.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { url, ignores_conditions, served }
    }

    /// From now on it is a store that overwrites whatever the condition says, as older ones do.
    pub fn ignore_conditions(&self) {
        self.ignores_conditions.store(true, Ordering::SeqCst);
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.served.abort();
    }
}

#[derive(Debug)]
struct Buckets {
    inner: FileSystem,
    ignores_conditions: Arc<AtomicBool>,
    one_at_a_time: Mutex<()>,
}

#[async_trait::async_trait]
impl S3 for Buckets {
    async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let _alone = self.one_at_a_time.lock().await;
        if self.ignores_conditions.load(Ordering::SeqCst) {
            request.input.if_none_match = None;
        }
        self.inner.put_object(request).await
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        self.inner.get_object(request).await
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.inner.head_object(request).await
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.inner.delete_object(request).await
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let _alone = self.one_at_a_time.lock().await;
        self.inner.copy_object(request).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.inner.list_objects_v2(request).await
    }
}
