/*
 *  alignment_synapse.cpp
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "alignment_synapse.h"

#include "connection_manager.h"
#include "exceptions.h"

namespace nest
{

constexpr ConnectionModelProperties AlignmentSynapse::properties;

void
AlignmentProperties::get_status( Dictionary& d ) const
{
  CommonSynapseProperties::get_status( d );
  d[ "eta" ] = eta_;
  d[ "alpha" ] = alpha_;
  d[ "tau_innovation" ] = tau_innovation_;
  d[ "tau_baseline" ] = tau_baseline_;
  bounds_.get_status( d );
}

void
AlignmentProperties::set_status( const Dictionary& d, ConnectorModel& cm )
{
  AlignmentProperties changed = *this;
  d.update_value( "eta", changed.eta_ );
  d.update_value( "alpha", changed.alpha_ );
  d.update_value( "tau_innovation", changed.tau_innovation_ );
  d.update_value( "tau_baseline", changed.tau_baseline_ );
  changed.bounds_.set_status( d, cm.get_name() );

  if ( not std::isfinite( changed.eta_ ) )
  {
    throw BadProperty( String::compose( "eta must be a finite number, got %1 (%2)", changed.eta_, cm.get_name() ) );
  }
  if ( not( changed.alpha_ >= 0.0 and std::isfinite( changed.alpha_ ) ) )
  {
    throw BadProperty(
      String::compose( "alpha must be positive, or 0 for no decay, got %1 ms (%2)", changed.alpha_, cm.get_name() ) );
  }
  if ( not( changed.tau_innovation_ >= 0.0 and std::isfinite( changed.tau_innovation_ ) ) )
  {
    throw BadProperty( String::compose(
      "tau_innovation must be positive, or 0 for no filter, got %1 ms (%2)", changed.tau_innovation_, cm.get_name() ) );
  }
  if ( not( changed.tau_baseline_ >= 0.0 and std::isfinite( changed.tau_baseline_ ) ) )
  {
    throw BadProperty( String::compose(
      "tau_baseline must be positive, or 0 for no baseline, got %1 ms (%2)", changed.tau_baseline_, cm.get_name() ) );
  }
  if ( ( changed.tau_innovation_ != tau_innovation_ or changed.tau_baseline_ != tau_baseline_ )
    and kernel().connection_manager.get_num_connections( cm.get_syn_id() ) > 0 )
  {
    throw BadProperty(
      String::compose( "tau_innovation and tau_baseline of %1 cannot change while there are connections of it; set it "
                       "before Connect, or make a copy with CopyModel",
        cm.get_name() ) );
  }
  CommonSynapseProperties::set_status( d, cm );
  eta_ = changed.eta_;
  alpha_ = changed.alpha_;
  tau_innovation_ = changed.tau_innovation_;
  tau_baseline_ = changed.tau_baseline_;
  bounds_ = changed.bounds_;
}

DendriticErrorArchivingNode&
require_innovation( Node& target, const std::string& synapse )
{
  auto* const node = dynamic_cast< DendriticErrorArchivingNode* >( &target );
  if ( not node )
  {
    throw IllegalConnection(
      String::compose( "%1 needs a target that knows what it sends beyond its expected rate, such as pyramidal_neuron; "
                       "%2 does not",
        synapse,
        target.get_name() ) );
  }
  return *node;
}

void
register_alignment_synapse( Node& target,
  const size_t port,
  const double weight,
  const AlignmentProperties& cp,
  const std::string& synapse )
{
  cp.check_weight( weight, synapse );
  require_innovation( target, synapse )
    .register_alignment_synapse( port, cp.tau_innovation(), cp.tau_baseline(), synapse );
}

void
AlignmentSynapse::check_connection( Node& source,
  Node& target,
  const size_t receptor_type,
  const CommonPropertiesType& cp )
{
  const std::string name = kernel().model_manager.get_connection_model( get_syn_id(), target.get_thread() ).get_name();
  require_innovation( target, name );
  if ( not source.has_proxies() )
  {
    throw IllegalConnection(
      String::compose( "%1 learns from neurons, %2 is a device: put a parrot_neuron between it and the target",
        name,
        source.get_name() ) );
  }
  ConnTestDummyNode dummy;
  ConnectionBase::check_connection_( dummy, source, target, receptor_type );
  register_alignment_synapse( target, get_rport(), weight_, cp, name );
}

bool
AlignmentSynapse::send( Event& e, const size_t tid, const CommonPropertiesType& cp )
{
  DendriticErrorArchivingNode& node = node_();
  const size_t port = get_rport();
  const long delay = get_delay_steps();
  const long n = node.steps( e.get_stamp() );
  const double count = DendriticErrorArchivingNode::spike_count( static_cast< const SpikeEvent& >( e ) );
  weight_ = cp.aligned( weight_, node.recent_innovations().seen( n, delay ), count );
  if ( node.is_on_this_side_of_reset( n ) )
  {
    node.add_input( port, n + delay - 1, weight_ * count );
  }
  e.set_receiver( *get_target( tid ) );
  e.set_weight( weight_ );
  e.set_delay_steps( delay );
  e.set_rport( port );
  return true;
}

void
AlignmentSynapse::get_status( Dictionary& d ) const
{
  ConnectionBase::get_status( d );
  d[ names::weight ] = weight_;
  d[ names::size_of ] = static_cast< long >( sizeof( *this ) );
}

void
AlignmentSynapse::set_status( const Dictionary& d, ConnectorModel& cm )
{
  const auto& cp = static_cast< const CommonPropertiesType& >( cm.get_common_properties() );
  double weight = weight_;
  if ( d.update_value( names::weight, weight ) )
  {
    cp.check_weight( weight, cm.get_name() );
  }
  ConnectionBase::set_status( d, cm );
  weight_ = weight;
}

}  // namespace nest
