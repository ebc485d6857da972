/*
 *  emergency_stop.cpp
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "emergency_stop.h"

#include <algorithm>
#include <tuple>

#include "dendritic_error_archiving_node.h"
#include "exceptions.h"
#include "kernel_manager.h"

namespace nest
{

namespace
{

//! Whether all threads have a cell that can throw.
bool
every_thread_can_stop()
{
  for ( size_t tid = 0; tid < static_cast< size_t >( kernel().vp_manager.get_num_threads() ); ++tid )
  {
    const SparseNodeArray& nodes = kernel().node_manager.get_local_nodes( tid );
    const auto can_throw = []( const auto& entry )
    { return dynamic_cast< DendriticErrorArchivingNode* >( entry.get_node() ) != nullptr; };
    if ( std::none_of( nodes.begin(), nodes.end(), can_throw ) )
    {
      return false;
    }
  }
  return true;
}

}  // namespace

EmergencyStop EmergencyStop::instance_;

void
EmergencyStop::report( const long now, const size_t node_id, const std::string& message )
{
  const std::lock_guard< std::mutex > lock( mutex_ );
  if ( std::tie( now, node_id ) < std::tie( time_, node_id_ ) )
  {
    time_ = now;
    node_id_ = node_id;
    message_ = message;
  }
  if ( kernel().vp_manager.get_num_threads() == 1 )
  {
    throw_();
  }
  if ( stop_ == never_ and every_thread_can_stop() )
  {
    stop_ = kernel().simulation_manager.get_slice_origin().get_steps() + kernel().simulation_manager.get_to_step();
  }
}

void
EmergencyStop::begin_run()
{
  const std::lock_guard< std::mutex > lock( mutex_ );
  if ( not kernel().simulation_manager.has_been_simulated() )
  {
    stop_ = time_ = never_;
  }
  else if ( time_ != never_ )
  {
    throw_();
  }
}

void
EmergencyStop::throw_() const
{
  throw KernelException( message_ );
}

}  // namespace nest
