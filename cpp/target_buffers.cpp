/*
 *  target_buffers.cpp
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "target_buffers.h"

#include "event_delivery_manager_impl.h"
#include "kernel_manager.h"
#include "mpi_manager_impl.h"

namespace target_buffers
{

namespace
{

// The first round has room for the mean number of sources of a process. Cells are dealt out in turn, so that each layer
// and synapse model adds at most one source to that: 16 times the mean is enough for some ten layers. A larger buffer is
// made only if the first round was too short.
constexpr double GROWTH = 16.0;

}  // namespace

void
allow_two_rounds()
{
  if ( nest::kernel().mpi_manager.get_num_processes() > 1 )
  {
    Dictionary status;
    status[ nest::names::growth_factor_buffer_target_data ] = GROWTH;
    nest::kernel().mpi_manager.set_status( status );
  }
}

void
clear()
{
  if ( nest::kernel().mpi_manager.get_num_processes() > 1 )
  {
    nest::kernel().mpi_manager.set_buffer_size_target_data( 0 );
    nest::kernel().event_delivery_manager.resize_send_recv_buffers_target_data();
  }
}

}  // namespace target_buffers
