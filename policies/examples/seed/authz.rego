package authz
default allow = false
allow {
  input.user.role == "admin"
  input.context.risk_score < 30
  input.device.compliant == true
}
