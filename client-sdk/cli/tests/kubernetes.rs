//! The manifests of `deploy/kubernetes`: services start with the settings in them, pods are
//! confined, policies let in who is meant, and every resource fits the published schema where
//! `kubernetes-validate` is at hand (PyPI; `KUBERNETES_VALIDATE` names it).
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const SERVICES: [&str; 3] = ["trainer", "inference", "keyvault"];
const OVERLAYS: [&str; 2] = ["single", "s3"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The documents of a text.
fn parse(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// Every resource below a folder of `deploy/kubernetes`, and the files that they are in.
fn resources(folder: &str) -> Vec<(PathBuf, Value)> {
    let folder = root().join("deploy/kubernetes").join(folder);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| !file.ends_with("kustomization.yaml"));
    files.sort();
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        parse(&text).into_iter().map(move |resource| (file.clone(), resource))
    };
    files.into_iter().flat_map(read).collect()
}

fn of_kind<'a>(all: &'a [(PathBuf, Value)], kind: &str) -> Vec<&'a Value> {
    all.iter().map(|(_, value)| value).filter(|value| value["kind"] == kind).collect()
}

fn container<'a>(all: &'a [(PathBuf, Value)], service: &str) -> &'a Value {
    let name = json!(format!("sphinx-{service}"));
    let deployments = of_kind(all, "Deployment");
    let found = deployments.into_iter().find(|value| value["metadata"]["name"] == name);
    let containers = found.unwrap()["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!((containers.len(), &containers[0]["name"]), (1, &json!(service)));
    &containers[0]
}

fn variables(container: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let variables = container["env"].as_array().into_iter().flatten();
    variables.map(|variable| (text(&variable["name"]), text(&variable["value"]))).collect()
}

/// What the image of a service says: its stage of the Dockerfile.
fn image(service: &str) -> String {
    let text = fs::read_to_string(root().join("deploy/Dockerfile")).unwrap();
    let (_, stage) = text.split_once(&format!("FROM runtime AS {service}\n")).unwrap();
    stage.split("\nFROM ").next().unwrap().to_owned()
}

fn variables_of_image(service: &str) -> BTreeMap<String, String> {
    let stage = image(service);
    let words = stage.split_whitespace().filter(|word| word.starts_with("SPHINX_"));
    words.filter_map(|word| word.split_once('=')).map(|(name, v)| (name.into(), v.into())).collect()
}

/// Starts a service with the variables of its container, its files where `secrets` has them, and
/// returns what it says first, the address that it listens to or nothing, and its log.
fn start(
    service: &str,
    mut variables: BTreeMap<String, String>,
    secrets: &Path,
) -> (String, String) {
    let store = secrets.join(format!("store-{service}"));
    for value in variables.values_mut() {
        if let Some(file) = value.strip_prefix("/etc/sphinx/identity/") {
            *value = secrets.join(service).join(file).display().to_string();
        } else if let Some(file) = value.strip_prefix("/etc/sphinx/access/") {
            *value = secrets.join("access").join(file).display().to_string();
        } else if value.starts_with("s3://") || value == "/var/lib/sphinx" {
            *value = store.display().to_string();
        }
    }
    let mut process = Command::new(env!("CARGO_BIN_EXE_sphinx"))
        .args(["serve", service, "--exit-with-stdin", "--listen", "127.0.0.1:0"])
        .env_clear()
        .env("HOME", secrets)
        .envs(variables)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(process.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    drop(process.stdin.take());
    let log = process.wait_with_output().unwrap().stderr;
    (line, String::from_utf8(log).unwrap())
}

fn setup() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_sphinx"))
        .args(["certs", "setup", "--host", "sphinx-keyvault", "--dir"])
        .arg(directory.path())
        .env_clear()
        .env("HOME", directory.path())
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    directory
}

#[test]
fn services_start_with_the_settings_of_every_overlay() {
    let secrets = setup();
    let base = resources("base");
    for overlay in OVERLAYS {
        let patches = resources(&format!("overlays/{overlay}"));
        for service in SERVICES {
            let mut all = variables_of_image(service);
            assert!(all.len() >= 3, "{service}: {all:?}");
            all.extend(variables(container(&base, service)));
            let patch = variables(container(&patches, service));
            let prefix = format!("SPHINX_{}__", service.to_uppercase());
            assert!(patch.contains_key(&format!("{prefix}STORE")), "{overlay} has no store");
            all.extend(patch);
            assert!(all.keys().all(|name| name.starts_with(&prefix)), "{service}: {all:?}");
            let (said, log) = start(service, all.clone(), secrets.path());
            assert!(said.starts_with("listening on "), "{overlay}, {service}: {said:?} {log}");
            // The check sees what it is to see.
            all.insert(format!("{prefix}NOT__KNOWN"), "1".to_owned());
            let (said, log) = start(service, all, secrets.path());
            assert!(said.is_empty() && log.contains("NOT"), "{said:?} {log}");
        }
    }
}

#[test]
fn images_ports_probes_and_secrets_are_those_that_there_are() {
    let secrets = setup();
    let base = resources("base");
    for service in SERVICES {
        let (container, stage) = (container(&base, service), image(service));
        assert_eq!(container["image"], json!(format!("sphinx/{service}")));
        let port = container["ports"][0]["containerPort"].as_u64().unwrap();
        assert!(stage.contains(&format!("EXPOSE {port}\n")));
        assert!(stage.contains(&format!("SERVER__LISTEN=0.0.0.0:{port} ")));
        let program = format!("/usr/local/bin/sphinx-{service}");
        assert!(stage.contains(&format!("ENTRYPOINT [\"{program}\"]")));
        let check = json!([program, "--check-health"]);
        for probe in ["startupProbe", "readinessProbe"] {
            assert_eq!(container[probe]["exec"]["command"], check, "{probe}");
        }
        assert_eq!(container["livenessProbe"]["tcpSocket"]["port"], "grpc");
        for (name, value) in variables(container) {
            for (place, folder) in [("identity", service), ("access", "access")] {
                if let Some(file) = value.strip_prefix(&format!("/etc/sphinx/{place}/")) {
                    assert!(secrets.path().join(folder).join(file).is_file(), "{name}");
                }
            }
        }
        let services = of_kind(&base, "Service");
        let name = json!(format!("sphinx-{service}"));
        let found = services.into_iter().find(|value| value["metadata"]["name"] == name).unwrap();
        let ports =
            json!([{"name": "grpc", "port": port, "targetPort": "grpc", "appProtocol": "grpc"}]);
        assert_eq!(found["spec"]["ports"], ports);
        assert_eq!(found["spec"]["clusterIP"], "None");
        let address =
            variables(container).remove(&format!("SPHINX_{}__KEYVAULT", service.to_uppercase()));
        assert!(address.is_none_or(|address| address == "https://sphinx-keyvault:7003"));
    }
}

#[test]
fn pods_are_confined_and_drain() {
    for deployment in of_kind(&resources("base"), "Deployment") {
        let pod = &deployment["spec"]["template"]["spec"];
        let context = &pod["securityContext"];
        assert_eq!(context["runAsNonRoot"], true);
        assert_eq!([&context["runAsUser"], &context["runAsGroup"]], [&json!(65532); 2]);
        assert_eq!(context["seccompProfile"], json!({"type": "RuntimeDefault"}));
        assert_eq!(pod["automountServiceAccountToken"], false);
        let container = &pod["containers"][0];
        let confined = json!({
            "readOnlyRootFilesystem": true,
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(container["securityContext"], confined);
        for resource in ["cpu", "memory"] {
            assert!(container["resources"]["requests"][resource].is_string());
            assert!(container["resources"]["limits"][resource].is_string());
        }
        // The drain deadline as it comes.
        let before = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > before + 20);
        // What is mounted belongs to root, and is lent to the group that the process has.
        assert_eq!(context["fsGroup"], 65532);
        let volumes = pod["volumes"].as_array().unwrap();
        assert!(volumes.iter().all(|volume| volume["secret"]["defaultMode"] == 0o440));
    }
}

/// Whether labels are what a selector asks for.
fn selects(selector: &Value, labels: &Value) -> bool {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let among = selector["matchExpressions"].as_array().into_iter().flatten();
    equal.into_iter().all(|(name, value)| labels[name] == *value)
        && among.into_iter().all(|expression| {
            assert_eq!(expression["operator"], "In");
            let values = expression["values"].as_array().unwrap();
            values.contains(&labels[expression["key"].as_str().unwrap()])
        })
}

/// Who of these pods may reach a pod of a service at a port.
fn admitted(
    policies: &[&Value],
    pods: &[(&str, Value)],
    (service, port): (&str, &str),
) -> BTreeSet<String> {
    let labels = &pods.iter().find(|(name, _)| *name == service).unwrap().1;
    let mut admitted = BTreeSet::new();
    for policy in policies.iter().filter(|policy| selects(&policy["spec"]["podSelector"], labels)) {
        for rule in policy["spec"]["ingress"].as_array().into_iter().flatten() {
            let [opened] = rule["ports"].as_array().unwrap().as_slice() else { panic!("{rule}") };
            assert_eq!(opened["protocol"], "TCP");
            if opened["port"] != port {
                continue;
            }
            for peer in rule["from"].as_array().unwrap() {
                let found = pods.iter().filter(|(_, labels)| selects(&peer["podSelector"], labels));
                admitted.extend(found.map(|(name, _)| (*name).to_owned()));
            }
        }
    }
    admitted
}

fn check_policies(all: &[(PathBuf, Value)]) {
    let policies = of_kind(all, "NetworkPolicy");
    let component = |name: &str| json!({"app.kubernetes.io/component": name});
    let mut pods: Vec<_> = SERVICES.map(|name| (name, component(name))).into();
    for (name, labels) in &pods {
        let deployments = of_kind(all, "Deployment");
        let name = json!(format!("sphinx-{name}"));
        let found = deployments.into_iter().find(|value| value["metadata"]["name"] == name);
        let spec = &found.unwrap()["spec"];
        assert!(selects(&spec["selector"], labels));
        assert!(selects(&spec["selector"], &spec["template"]["metadata"]["labels"]));
    }
    pods.push(("client", json!({"sphinx-client": "true"})));
    pods.push(("scraper", json!({"sphinx-scraper": "true"})));
    pods.push(("stranger", json!({"app": "other"})));
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let keyvault: BTreeSet<_> = named(&["client", "inference", "trainer"]);
    assert_eq!(admitted(&policies, &pods, ("keyvault", "grpc")), keyvault);
    let others: BTreeSet<_> = named(&["client"]);
    assert_eq!(admitted(&policies, &pods, ("trainer", "grpc")), others);
    assert_eq!(admitted(&policies, &pods, ("inference", "grpc")), others);
    let scrapers: BTreeSet<_> = named(&["scraper"]);
    for service in SERVICES {
        assert_eq!(admitted(&policies, &pods, (service, "metrics")), scrapers);
    }
    // Nothing is open that no policy opens, and names can be looked up.
    let closed = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
    assert!(policies.iter().any(|policy| policy["spec"] == closed));
    let dns =
        json!({"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}});
    assert!(policies.iter().any(|policy| policy["spec"]["egress"][0]["to"][0] == dns));
}

#[test]
fn the_key_vault_is_reached_by_the_two_services_and_by_clients_only() {
    check_policies(&resources("base"));
}

/// An overlay as it is applied, if there is a tool that puts it together.
fn rendered(overlay: &str) -> Option<String> {
    let folder = root().join("deploy/kubernetes/overlays").join(overlay);
    for tool in [["kubectl", "kustomize"], ["kustomize", "build"]] {
        if let Ok(output) = Command::new(tool[0]).arg(tool[1]).arg(&folder).output() {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            return Some(String::from_utf8(output.stdout).unwrap());
        }
    }
    println!("SKIPPED: neither kubectl nor kustomize puts overlays together");
    None
}

#[test]
fn an_overlay_that_is_put_together_says_what_its_parts_say() {
    for (overlay, replicas) in OVERLAYS.into_iter().zip([[1, 1, 1], [3, 3, 2]]) {
        let Some(text) = rendered(overlay) else { return };
        let all: Vec<_> = parse(&text).into_iter().map(|value| (PathBuf::new(), value)).collect();
        check_policies(&all);
        for (service, replicas) in SERVICES.into_iter().zip(replicas) {
            let name = json!(format!("sphinx-{service}"));
            for kind in ["Deployment", "Service", "PodDisruptionBudget"] {
                let found = of_kind(&all, kind);
                let found = found.into_iter().find(|value| value["metadata"]["name"] == name);
                let found = found.unwrap();
                assert_eq!(found["metadata"]["namespace"], "sphinx");
                if kind == "Deployment" {
                    assert_eq!(found["spec"]["replicas"], replicas);
                }
            }
            let container = container(&all, service);
            let (base, patch) = (resources("base"), resources(&format!("overlays/{overlay}")));
            let mut expected = variables(self::container(&base, service));
            expected.extend(variables(self::container(&patch, service)));
            assert_eq!(variables(container), expected);
            assert_eq!(container["image"], json!(format!("sphinx/{service}:dev")));
            assert_eq!(container["envFrom"].is_array(), overlay == "s3");
        }
        let claims = of_kind(&all, "PersistentVolumeClaim").len();
        assert_eq!(claims, if overlay == "single" { 2 } else { 0 });
    }
}

#[test]
fn every_resource_fits_the_published_schema() {
    let tool = std::env::var_os("KUBERNETES_VALIDATE");
    let tool = tool.unwrap_or_else(|| "kubernetes-validate".into());
    let validate = |file: &Path| Command::new(&tool).arg("--strict").arg(file).output();
    let directory = tempfile::tempdir().unwrap();
    let wrong = directory.path().join("wrong.yaml");
    let text = fs::read_to_string(root().join("deploy/kubernetes/base/trainer.yaml")).unwrap();
    fs::write(&wrong, text.replacen("runAsNonRoot", "runAsNonroot", 1)).unwrap();
    let Ok(refused) = validate(&wrong) else {
        println!("SKIPPED: needs kubernetes-validate of PyPI (KUBERNETES_VALIDATE names it)");
        return;
    };
    assert!(!refused.status.success(), "a misspelt field passed");
    let mut files: Vec<PathBuf> = Vec::new();
    let base = resources("base");
    for folder in ["base", "overlays/single", "overlays/s3"] {
        for (file, mut resource) in resources(folder) {
            // A patch is a resource but for what it leaves to the base.
            if folder != "base" && resource["kind"] == "Deployment" {
                let name = &resource["metadata"]["name"];
                let patched = of_kind(&base, "Deployment");
                let patched = patched.into_iter().find(|value| value["metadata"]["name"] == *name);
                resource["spec"]["selector"] = patched.unwrap()["spec"]["selector"].clone();
            }
            let stem = file.file_stem().unwrap().display().to_string();
            let name = format!("{}-{stem}-{}.yaml", folder.replace('/', "-"), files.len());
            let file = directory.path().join(name);
            fs::write(&file, resource.to_string()).unwrap();
            files.push(file);
        }
    }
    for overlay in OVERLAYS {
        if let Some(text) = rendered(overlay) {
            let file = directory.path().join(format!("{overlay}.yaml"));
            fs::write(&file, text).unwrap();
            files.push(file);
        }
    }
    assert!(files.len() >= 15 + 5 + 4, "{files:?}");
    for file in files {
        let output = validate(&file).unwrap();
        let said = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
        assert!(output.status.success(), "{}: {said}", file.display());
    }
}
