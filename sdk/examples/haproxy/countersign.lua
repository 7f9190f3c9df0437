-- Asks Countersign about each request, by HAProxy's own HTTP client. The integration tests run this very file.
--
-- It takes three variables of the environment, which `setenv` in the section `global` sets: COUNTERSIGN_URL, the address of the check;
-- COUNTERSIGN_PEP, what authenticates this proxy (`[[pep]]`); COUNTERSIGN_TIMEOUT, how many milliseconds there are for an answer.
--
-- It lets pass by setting `txn.countersign.allowed`, and by nothing else. An error in here leaves the variable unset, and the rule that follows
-- the check denies: never use the one without the other.

local function setting(name)
    return os.getenv(name) or error(name .. " is not set")
end

-- HAProxy's client asks up to four times when no answer comes.
local ATTEMPTS = 4
local URL, PEP, TIMEOUT = setting("COUNTERSIGN_URL"), setting("COUNTERSIGN_PEP"), tonumber(setting("COUNTERSIGN_TIMEOUT")) // ATTEMPTS

-- What Countersign may know of the request. Whoever writes policies over other headers adds them here.
local ASKED = {
    "authorization", "dpop", "cookie", "user-agent", "accept", "accept-language", "content-type", "origin", "referer", "x-requested-with",
    "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-site", "sec-websocket-key", "access-control-request-method",
    "x-http-method-override", "x-http-method", "x-method-override", "x-countersign-client-cert",
}

-- Every header by which an application is told who asks. Each is set on every allow, empty if need be, so that a client can never bring its own.
local IDENTITY = {
    "remote-user", "remote-groups", "remote-name", "remote-email",
    "x-countersign-decision", "x-countersign-risk", "x-countersign-would", "x-countersign-subject",
}

-- Which headers of a refusal the client gets.
local TOLD = {
    "location", "www-authenticate", "content-type", "cache-control", "retry-after", "grpc-status", "grpc-message",
    "x-countersign-decision", "x-countersign-page", "dpop-nonce",
}
local TOLD_BODY = 8192

-- The values of one header in the order in which they came; HAProxy counts from zero. Several stay several, and Countersign refuses them.
local function values(headers, name)
    local found = {}
    local given = headers[name] or {}
    for index = 0, #given do
        if given[index] then found[#found + 1] = given[index] end
    end
    return found
end

local function scheme(txn)
    local is_tls = txn.f:ssl_fc()
    -- A boolean, or a number before HAProxy 3.1.
    return (is_tls == true or is_tls == 1) and "https" or "http"
end

local function question(txn)
    local given = txn.http:req_get_headers()
    local headers = {
        ["x-countersign-pep"] = { PEP },
        ["x-forwarded-method"] = { txn.f:method() },
        ["x-forwarded-proto"] = { scheme(txn) },
        ["x-forwarded-host"] = values(given, "host"),
        ["x-forwarded-uri"] = { txn.f:url() },
        ["x-forwarded-for"] = { txn.f:src() },
    }
    for _, name in ipairs(ASKED) do
        local found = values(given, name)
        if #found > 0 then headers[name] = found end
    end
    return headers
end

local function allow(txn, answer)
    for _, name in ipairs(IDENTITY) do
        txn.http:req_set_header(name, values(answer.headers, name)[1] or "")
    end
    txn:set_var("txn.countersign.allowed", true)
end

local function refuse(txn, answer)
    local reply = txn:reply({ status = answer.status })
    for _, name in ipairs(TOLD) do
        for _, value in ipairs(values(answer.headers, name)) do reply:add_header(name, value) end
    end
    if answer.body and #answer.body <= TOLD_BODY then reply:set_body(answer.body) end
    txn:done(reply)
end

local function is_refusal(status)
    return status == 302 or status == 303 or (status >= 400 and status <= 599)
end

core.register_action("countersign", { "http-req" }, function(txn)
    local answer = core.httpclient():get({ url = URL, headers = question(txn), timeout = TIMEOUT })
    if not answer or not answer.status then return end
    if answer.status == 200 then
        allow(txn, answer)
    elseif is_refusal(answer.status) then
        refuse(txn, answer)
    end
end, 0)
