-- wrk script: transfers of 1 between random accounts, every request with a new
-- idempotency key.
--   TENANTS  file with a line "key account account ..." for each business
--   HOT=1    the first account of a business is always the source
--   BATCH=n  n transfers in one request to /v1/transactions/batch
--   SEED     makes the keys of this run differ from those of any other
-- The last line of output is "RESULT " and a JSON object; latencies are in
-- microseconds.
local tenants = {}
for line in io.lines(os.getenv("TENANTS")) do
  local words = {}
  for word in line:gmatch("%S+") do words[#words + 1] = word end
  local key = table.remove(words, 1)
  tenants[#tenants + 1] = { key = key, accounts = words }
end
local hot, batch = os.getenv("HOT") == "1", tonumber(os.getenv("BATCH") or "0")

local threads = 0
function setup(thread) thread:set("id", threads); threads = threads + 1 end

function init()
  math.randomseed(tonumber(os.getenv("SEED")) + id)
  local path = batch > 0 and "/v1/transactions/batch" or "/v1/transactions"
  for _, tenant in ipairs(tenants) do
    tenant.head = "POST " .. path .. " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port ..
      "\r\nContent-Type: application/json\r\nAuthorization: Bearer " .. tenant.key .. "\r\nIdempotency-Key: "
  end
end

local function key()
  local random = math.random
  return string.format("%08x%08x%08x%08x",
    random(0, 0xffffffff), random(0, 0xffffffff), random(0, 0xffffffff), random(0, 0xffffffff))
end

local function transfer(accounts)
  local source = hot and 1 or math.random(#accounts)
  local destination = math.random(#accounts - 1)
  if destination >= source then destination = destination + 1 end
  return '{"type":"transfer","source_account_id":"' .. accounts[source] ..
    '","destination_account_id":"' .. accounts[destination] .. '","amount":1}'
end

local function transfers(accounts)
  local items = {}
  for i = 1, batch do items[i] = transfer(accounts) end
  return '{"transactions":[' .. table.concat(items, ",") .. "]}"
end

function request()
  local tenant = tenants[math.random(#tenants)]
  local body = batch > 0 and transfers(tenant.accounts) or transfer(tenant.accounts)
  return tenant.head .. key() .. "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
