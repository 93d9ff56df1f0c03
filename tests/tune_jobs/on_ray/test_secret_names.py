"""Secrets by their usual names, and what is only called like one."""

from __future__ import annotations

import pytest

from tune_jobs.on_ray.jobs.secret_names import is_secret

SECRETS = """
.env .env.local .envrc prod.env config/staging.env server.pem tls.key AuthKey_1.p8 a.p12 a.pfx a.ppk
release.jks debug.keystore http.keytab vault.kdbx id_rsa id_rsa_work id_rsa.old id_ed25519 id_ed25519_sk
id_ecdsa-2024 work_id_rsa deploy_ed25519 .ssh/config .gnupg/x .ssh/known_hosts secring.gpg office.ovpn
ssh_host_rsa_key secrets.yaml secrets.yml secret.json secrets.toml secrets.sh secrets prod-secrets.yaml
secrets.prod.yaml .secrets .streamlit/secrets.toml client_secret.json client_secret_12.apps.json
jupyter_cookie_secret app.secret credentials.json credentials credentials.csv google_credentials.json
gcp-credentials.json .smbcredentials application_default_credentials.json .cargo/credentials.toml
.aws/credentials creds.json service-account.json service_account.json serviceaccount.json
my-service-account-key.json gcp-key.json key.json x-firebase-adminsdk-1.json api_key.txt openai-api-key
private_key.txt password.txt passwords.csv db_passwd token .token token.json github_token.txt hf-token
.ray/auth_token access_token.json secrets/db credentials/prod.json run/secrets/token terraform.tfstate
terraform.tfstate.backup prod.tfvars x.auto.tfvars.json .terraform/terraform.tfstate .terraformrc
.config/gcloud/x.db home/.config/gcloud/access_tokens.db .azure/x .oci/config .boto .s3cfg rclone.conf
.config/rclone/rclone.conf .kube/config kubeconfig prod.kubeconfig kubeconfig.yaml .docker/config.json
.dockercfg .config/containers/auth.json .databrickscfg .vault-token vault_pass.txt master.key .netrc
_netrc .npmrc .yarnrc.yml .pypirc pip.conf .m2/settings.xml .git-credentials .config/gh/hosts.yml
.pgpass .my.cnf .htpasswd .cache/huggingface/token .cache/huggingface/stored_tokens .huggingface/token
kaggle.json .kaggle/kaggle.json .config/wandb/settings wandb/settings .bash_history .python_history
ID_RSA Prod.ENV Credentials.JSON a/b/.AWS/config
"""

OTHERS = """
token.py tokens.txt tokens/a.txt tokenizer.json special_tokens_map.json added_tokens.json config.json
docker/config.json id_rsa.py id_rsa.pub secrets.py credentials.py credentials/models.py
secrets/__init__.py secretary.csv passwordless.md password_field.png secret_model.pt environment.yml
env.py envs/a.yaml keys.py key.py monkey.json keyboard.json keypoints.json a.keys settings.json
wandb/run.txt history.csv huggingface/model.json terraform/main.tf secrets.tf secrets.md pipeline.conf
gcloud.md aws.py aws/a.txt ssh/a.txt data.csv src/train.py README.md requirements.txt pyproject.toml
points.json .gitignore .rayignore
"""


def listed(names: str) -> list[str]:
    return names.split()


@pytest.mark.parametrize("path", listed(SECRETS))
def test_usual_secrets_are_known(path: str) -> None:
    assert is_secret(path)
    assert is_secret(f"deep/er/{path}")


@pytest.mark.parametrize("path", listed(OTHERS))
def test_what_is_only_called_like_one_is_none(path: str) -> None:
    assert not is_secret(path)


def test_folder_is_a_secret_where_all_in_it_is_one() -> None:
    assert all(is_secret(name, is_folder=True) for name in (".ssh", "a/.aws", ".config/gcloud"))
    assert not any(is_secret(name, is_folder=True) for name in ("credentials", "secrets", ".config", "token"))
