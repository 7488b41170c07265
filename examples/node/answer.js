// Answers each call of the application `demo`, plays a sound, reads digits up to #, and hangs up.
import { connect, nuid } from '@nats-io/transport-node'

const LIMIT = Number(process.env.LIMIT ?? 100)
const servers = process.env.NATS_URL ?? 'nats://127.0.0.1:4222'
const bus = await connect({ servers, maxReconnectAttempts: -1 })
const served = new Map() // By dialog: an AppStart may come twice.

async function serve({ dialog_id: dialog, channel_id: id }) {
  const channel = `/channels/${encodeURIComponent(id)}`
  const execute = async (method, url) => {
    const command = JSON.stringify({ unique_id: nuid.next(), url, method, body: '' })
    const answer = await bus.request(`commands_${dialog}`, command, { timeout: 15_000 })
    const { status_code: status, response_body: body } = answer.json()
    if (status >= 400) throw new Error(`${method} ${url}: ${status} ${body}`)
  }
  const events = bus.subscribe(`events_${dialog}`)
  let digits = ''
  try {
    for await (const message of events) {
      const { type, ari_body: body } = message.json()
      if (type === 'StasisStart') {
        await execute('POST', `${channel}/answer`)
        await execute('POST', `${channel}/play?media=sound:hello-world`)
      } else if (type === 'ChannelDtmfReceived') {
        const { digit } = JSON.parse(body)
        if (digit === '#') await execute('DELETE', channel)
        else digits += digit
      } else if (type === 'ProxyGap') {
        await execute('GET', channel) // Events are missing: is it still there?
      } else if (type === 'StasisEnd' || type === 'ProxyDialogEnded') {
        break
      } // All others, and ProxyProbe, need no answer.
    }
    console.log(`served ${dialog}: digits ${digits}`)
  } catch (error) {
    console.error(`left ${dialog} to ari-proxy: ${error.message}`)
  } finally {
    events.unsubscribe()
  }
}

const starts = bus.subscribe('demo', { queue: 'demo-workers' })
process.once('SIGTERM', () => starts.drain()) // No new calls; those that are up go on.
console.log('ready')
for await (const message of starts) {
  const start = message.json()
  if (served.has(start.dialog_id)) continue
  if (served.size < LIMIT)
    served.set(start.dialog_id, serve(start).finally(() => served.delete(start.dialog_id)))
  else message.respond(JSON.stringify({ decline: true, reason: 'no capacity' }))
}
await Promise.all(served.values())
await bus.drain()
