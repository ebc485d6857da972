/*
 *  target_buffers.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_TARGET_BUFFERS_H
#define PYRAMIDAL_TARGET_BUFFERS_H

/**
 * Guard against a defect of NEST 3.10.0 under MPI, by which connections get every spike twice.
 *
 * Before a simulation, processes tell each other which of their cells have targets where, in rounds. A round ends when
 * the part of the buffer for one process is full; the parts for the others then have no end marker
 * (ConnectionManager::fill_target_buffer), and what former rounds left behind in them is read as further targets. That
 * happens in networks whose sources are not spread evenly, if buffers hold anything: from the second network of a
 * session on, or from the third round on. Zeros do no harm: they name the outgoing signals of a synapse model that has
 * none.
 */
namespace target_buffers
{

//! Let the buffers be so large after the first round that there is no third one. Called when the module is loaded.
void allow_two_rounds();

//! Empty the buffers; NEST makes new ones, of zeros, when it needs them. Called when the module is loaded and before every run.
void clear();

}  // namespace target_buffers

#endif
