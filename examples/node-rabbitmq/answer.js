// Answers each call of the application `demo`, plays a sound, reads digits up to #, and hangs up.
import { randomUUID } from 'node:crypto'
import { EventEmitter, on, once } from 'node:events'
import { connect } from 'amqplib'

// A lost connection is an error that ends the process: whoever has started it starts it again.
const bus = await connect(process.env.AMQP_URL ?? 'amqp://127.0.0.1:5672')
const served = new Set() // Dialogs: an AppStart may come twice.

async function serve({ dialog_id: dialog, channel_id: id }) {
  const path = `/channels/${encodeURIComponent(id)}`
  const channel = await bus.createChannel()
  const received = new EventEmitter()
  const events = on(received, 'event')
  channel.on('error', (error) => received.emit('error', error))
  const execute = async (method, url) => {
    const command = { unique_id: randomUUID(), url, method, body: '' }
    const payload = Buffer.from(JSON.stringify(command))
    channel.sendToQueue(`commands_${dialog}`, payload, { contentType: 'application/json' })
    const signal = AbortSignal.timeout(15_000)
    const [response] = await once(received, command.unique_id, { signal })
    if (response.status_code >= 400) throw new Error(`${method} ${url}: ${response.response_body}`)
  }
  const takeResponse = (message) => {
    const response = message && JSON.parse(message.content)
    if (response) received.emit(response.unique_id, response)
  }
  let digits = ''
  try {
    // The dialog's queues exist, and ari-proxy deletes them.
    await channel.consume(`responses_${dialog}`, takeResponse, { noAck: true })
    await channel.consume(`events_${dialog}`, (message) => received.emit('event', message))
    for await (const [message] of events) {
      channel.ack(message)
      const { type, ari_body: body } = JSON.parse(message.content)
      if (type === 'StasisStart') {
        await execute('POST', `${path}/answer`)
        await execute('POST', `${path}/play?media=sound:hello-world`)
      } else if (type === 'ChannelDtmfReceived') {
        digits += JSON.parse(body).digit
        if (digits.endsWith('#')) await execute('DELETE', path)
      } else if (type === 'StasisEnd' || type === 'ProxyDialogEnded') break
    } // All others need nothing.
    console.log(`served ${dialog}: digits ${digits}`)
  } catch (error) {
    console.error(`left ${dialog} to ari-proxy: ${error.message}`)
  } finally {
    served.delete(dialog)
    await channel.close().catch(() => {}) // RabbitMQ may have closed it.
  }
}

const starts = await bus.createChannel()
await starts.assertQueue('demo', { durable: true })
await starts.consume('demo', (message) => {
  const start = JSON.parse(message.content)
  starts.ack(message) // This accepts the call.
  if (served.has(start.dialog_id)) return
  served.add(start.dialog_id)
  serve(start)
})
console.log('ready')
